package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// handBackWorkers is how many keys at once are handed back to a member: few,
// so that what it missed does not crowd out the calls of the day.
const handBackWorkers = 4

// attend looks after p until the group is closed: it has a suspect member
// checked, makes the trial calls of a half-open one and hands back what p is
// owed.
func (f *KV) attend(p *peer) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.wake:
		case <-timer.C:
		case <-f.ctx.Done():
			return
		}
		if again := f.care(p); again > 0 {
			timer.Reset(again)
		} else {
			timer.Stop()
		}
	}
}

// care does for p what is due, and returns when to look again if nothing
// happens until then; 0 = never.
func (f *KV) care(p *peer) time.Duration {
	st := f.route.standing(p.i)
	if st.drained || st.state == breaker.Open {
		return 0
	}
	if !st.suspect.IsZero() {
		f.ask(f.ctx, p)
		if f.route.isSuspect(p.i) {
			return p.window / 8
		}
	}
	if due := f.backlog.due(p.i); len(due) > 0 {
		workers := handBackWorkers
		if st.state == breaker.HalfOpen {
			workers = 1 // its breaker lets a few through
		}
		if pass := f.handBack(f.ctx, p, due, workers); pass.tainted {
			f.proveQuiet(f.ctx, p)
		}
		if len(f.backlog.due(p.i)) > 0 {
			return p.window / 8
		}
	}
	if p.m.Store().State() == breaker.HalfOpen {
		f.try(p)
		return p.window / 8
	}
	return 0
}

// proveQuiet has p checked if there is no recent good check of it: without one
// the wait for earlier calls does not end.
func (f *KV) proveQuiet(ctx context.Context, p *peer) {
	if ctx.Err() == nil && !p.quieting.checkedSince(time.Now().Add(-p.window/8)) {
		f.ask(ctx, p)
	}
}

// ask has p checked. A store that cannot tell counts as healthy here: nothing
// better will ever be known of it.
func (f *KV) ask(ctx context.Context, p *peer) {
	began := time.Now()
	err := p.m.Store().Health(ctx)
	if errors.Is(err, resilient.ErrHealthUnknown) {
		f.checked(p, began, resilient.Check{Time: time.Now()})
	}
}

// checked takes note of a health check of p.
func (f *KV) checked(p *peer, began time.Time, c resilient.Check) {
	if c.Err != nil {
		return
	}
	p.quieting.good(began, time.Now())
	if f.route.checked(p.i, began) {
		p.nudge()
	}
}

// trialKey is what a half-open member is asked for when there is nothing to
// hand back to it: whether the key is there does not matter.
const trialKey = "holdfast-trial"

// maxTrials bounds the trial calls in a row: a breaker that needs more has the
// next ones when something happens.
const maxTrials = 16

// try makes the trial calls that close a half-open breaker: a group does not
// send its callers to a member that may be away.
func (f *KV) try(p *peer) {
	for range maxTrials {
		if p.m.Store().State() != breaker.HalfOpen {
			return
		}
		_, err := p.m.GetRaw(f.ctx, trialKey)
		if c := classOf(err); c != resilient.OK && c != resilient.Missing {
			return
		}
	}
}

// pass is what became of one pass of hand-back.
type pass struct {
	handed  int
	tainted bool  // an earlier call may still apply for some keys
	err     error // the member refused or failed: the pass was stopped
}

// handBack hands the keys that are due at p back to it, in their order.
func (f *KV) handBack(ctx context.Context, p *peer, keys []string, workers int) pass {
	var (
		next, handed atomic.Int64
		tainted      atomic.Bool
		failed       atomic.Pointer[error]
		wg           sync.WaitGroup
	)
	for range min(workers, len(keys)) {
		wg.Go(func() {
			for failed.Load() == nil && ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(keys) {
					return
				}
				switch did, err := f.handBackKey(ctx, p, keys[n]); {
				case err != nil:
					failed.CompareAndSwap(nil, &err)
				case did == skipped:
					tainted.Store(true)
				case did == handedBack:
					handed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	r := pass{handed: int(handed.Load()), tainted: tainted.Load()}
	if err := failed.Load(); err != nil {
		r.err = *err
	}
	if r.handed > 0 && f.cfg.Observer != nil {
		_, _, oldest := f.backlog.total()
		e := resilient.Event{Kind: resilient.KindHandedBack, Time: time.Now(), Store: p.name, Count: r.handed, Err: r.err}
		if !oldest.IsZero() {
			e.Age = e.Time.Sub(oldest)
		}
		f.tell(ctx, e)
	}
	return r
}

// step is what was done for one key.
type step uint8

const (
	gone       step = iota // nothing is owed any more
	skipped                // an earlier call may still apply, or the member will not take the value
	handedBack             // the member has the version
	cleaned                // the member's copy is gone
)

// handBackKey hands one key back, or removes the copy of one that nobody is
// owed, under its lock, so that no newer version is written meanwhile. An error
// stops the pass.
func (f *KV) handBackKey(ctx context.Context, p *peer, key string) (step, error) {
	s := f.overlay.stripe(key)
	if err := s.lock(ctx); err != nil {
		return gone, err
	}
	defer s.unlock()

	quiet := p.quieting.before(time.Now())
	s.mu.Lock()
	e := s.m[key]
	owed := e != nil && e.owed.has(p.i)
	copied := e != nil && e.owed == 0 && e.remove.has(p.i)
	blocked := (owed && !planted("noquiesce-handback") || copied && !planted("noquiesce-clean")) && e.blocked(p, quiet)
	s.mu.Unlock()
	switch {
	case !owed && !copied:
		return gone, nil
	case blocked:
		return skipped, nil
	}

	if copied && planted("cleannolock") {
		s.unlock()
		defer func() { s.key <- struct{}{} }() // for the deferred unlock
	}
	var err error
	if owed && !e.delete {
		err = p.m.SetRaw(ctx, key, e.value)
	} else if err = p.m.Delete(ctx, key); classOf(err) == resilient.Missing {
		err = nil
	}
	switch class := classOf(err); {
	case err == nil && owed:
		f.got(e, p)
		return handedBack, nil
	case err == nil:
		f.removed(e, p)
		return cleaned, nil
	case class == resilient.Invalid:
		return skipped, nil
	case refused(err):
		return gone, err
	}
	f.answered([]*entry{e}, p, err)
	f.doubt(p, err)
	return gone, err
}

// Flush hands back now what members are owed, and waits for what has to wait.
// It returns nil only if nothing is owed, removals of copies included; else an
// error that says to whom, at ctx's end at the latest.
func (f *KV) Flush(ctx context.Context) error {
	if f.closing.Load() {
		return resilient.ErrClosed
	}
	return f.flush(ctx)
}

func (f *KV) flush(ctx context.Context) error {
	for {
		var waits bool
		var failed error
		for _, p := range f.peers {
			due := f.backlog.due(p.i)
			if len(due) == 0 {
				continue
			}
			switch r := f.handBack(ctx, p, due, handBackWorkers); {
			case r.err != nil:
				failed = fmt.Errorf("failover: owed to %s: %w", f.backlog.count(p.i).at(p), r.err)
			case r.tainted:
				waits = true
				f.proveQuiet(ctx, p)
			}
		}
		if f.backlog.empty() {
			return nil
		}
		if failed != nil && !waits {
			return failed
		}
		select {
		case <-time.After(minQuiet / 8):
		case <-ctx.Done():
			return fmt.Errorf("failover: owed to %s: %w", f.allOwed(), ctx.Err())
		}
	}
}

// at says what is owed to p: "redis:12", or "redis:12 (3 removals)".
func (o owing) at(p *peer) string {
	if o.removals == 0 {
		return fmt.Sprintf("%s:%d", p.name, o.writes)
	}
	return fmt.Sprintf("%s:%d (%d removals)", p.name, o.writes, o.removals)
}

// allOwed says what is owed to whom.
func (f *KV) allOwed() string {
	var all []string
	for _, p := range f.peers {
		if o := f.backlog.count(p.i); o != (owing{}) {
			all = append(all, o.at(p))
		}
	}
	return strings.Join(all, " ")
}
