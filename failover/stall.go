package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// Why a member gets nothing of what it is owed, for Status.
const (
	stallWaits    = "waits until earlier calls can no longer take effect"
	stallUnwanted = "the member does not take some of it"
	stallRefused  = "the member refused it"
	stallFailed   = "the member failed"
)

// stall is why a member gets nothing of what it is owed.
type stall struct {
	resilient.HandBackStatus
	told bool // an event has told of this class of error
}

// stall takes note of whether p gets on, as r shows. It reports whether that p
// gets nothing is to be told: once per class of error, and not before p's window
// is over, so that an outage which health checks have yet to find tells of
// itself alone. A pass that its caller, an operator or the breaker has ended
// shows nothing, nor does one that waits for a member which is not healthy.
func (f *KV) stall(ctx context.Context, p *peer, r pass) (tell bool) {
	p.stalls.Lock()
	defer p.stalls.Unlock()
	s := &p.stalls.stall
	switch {
	case r.handed+r.cleaned > 0:
		*s = stall{}
		return false
	case ctx.Err() != nil, f.ctx.Err() != nil, r.err == nil && (!r.waits || p.sick()),
		errors.Is(r.err, errDrained), errors.Is(r.err, breaker.ErrOpen), errors.Is(r.err, resilient.ErrClosed):
		return false
	}
	now := time.Now()
	if s.Since.IsZero() {
		s.Since = now
	}
	if r.err == nil { // also after a call that failed: what that said stands
		if s.Err == nil {
			s.Reason = stallWaits
		}
		return false
	}
	s.told = s.told && s.Class == r.class()
	s.Class, s.Err = r.class(), r.err
	switch {
	case errors.Is(r.err, errUnwanted):
		s.Reason = stallUnwanted
	case refused(r.err):
		s.Reason = stallRefused
	default:
		s.Reason = stallFailed
	}
	tell = !s.told && now.Sub(s.Since) >= p.window
	s.told = s.told || tell
	return tell
}

// sick reports whether p's last health check failed.
func (p *peer) sick() bool {
	err := p.m.Store().Status().LastProbe.Err
	return err != nil && !errors.Is(err, resilient.ErrHealthUnknown)
}

// unstall forgets why p got nothing: it is owed nothing, or it is away.
func (p *peer) unstall() {
	p.stalls.Lock()
	defer p.stalls.Unlock()
	p.stalls.stall = stall{}
}

// stalled returns why p gets nothing of what it is owed.
func (p *peer) stalled() resilient.HandBackStatus {
	p.stalls.Lock()
	defer p.stalls.Unlock()
	return p.stalls.HandBackStatus
}
