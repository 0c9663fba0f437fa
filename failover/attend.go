package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// attend looks after p until the group is closed: it has a suspect member
// checked, makes the trial calls of a half-open one and hands back what p is
// owed.
func (f *KV) attend(p *peer) {
	timer := time.NewTimer(p.window)
	defer timer.Stop()
	for {
		if again := f.care(p); again > 0 {
			timer.Reset(again)
		} else {
			timer.Stop()
		}
		select {
		case <-p.wake:
		case <-timer.C:
		case <-f.ctx.Done():
			return
		}
	}
}

// care does for p what is due, and returns when to look again if nothing
// happens until then; 0 = never.
func (f *KV) care(p *peer) time.Duration {
	if f.backlog.count(p.i) == (owing{}) {
		p.unstall()
	}
	st := f.route.standing(p.i)
	if st.drained && !p.repairing.Load() || st.state == breaker.Open {
		return 0
	}
	if !st.suspect.IsZero() {
		f.ask(f.ctx, p)
		if f.route.isSuspect(p.i) {
			return p.window / 8
		}
	}
	var again time.Duration
	for due := f.backlog.due(p.i); len(due) > 0 && !st.drained && again == 0; due = f.backlog.due(p.i) {
		workers := handBackWorkers
		if p.m.Store().State() == breaker.HalfOpen {
			due, workers = due[:min(len(due), maxTrials)], 1 // its breaker lets a few through
		}
		pass := f.handBack(f.ctx, p, due, workers)
		if pass.waits {
			f.proveQuiet(f.ctx, p)
		}
		if pass.stopped() {
			return p.window / 8
		}
		if pass.waits || pass.err != nil || pass.handed+pass.cleaned == 0 || f.ctx.Err() != nil {
			again = p.window / 8
		}
	}
	if p.m.Store().State() == breaker.HalfOpen {
		f.try(p) // also where nothing of what it is owed can be sent
		again = p.window / 8
	}
	return again
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
		p.unstall()
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
// send its callers to a member that may be away. Once a good one has brought the
// breaker no nearer, it is health checks that have opened it and that close it:
// no more are made until it has moved.
func (f *KV) try(p *peer) {
	for range maxTrials {
		before := p.m.Store().Breaker().Status()
		if before.State != breaker.HalfOpen || before.Generation == p.proven.Load() || !f.trial(p) {
			return
		}
		after := p.m.Store().Breaker().Status()
		if after.Generation == before.Generation && after.Trials == before.Trials {
			p.proven.Store(before.Generation)
			return
		}
	}
}

// trial makes one trial call and reports whether p answered it. One that
// outlasts what p's Timeout allows goes on alone, and is the last until it has
// ended.
func (f *KV) trial(p *peer) bool {
	if !p.onTrial.CompareAndSwap(false, true) {
		return false
	}
	result := make(chan error, 1)
	f.work.Go(func() {
		err := errExited // if the store ends the goroutine
		defer func() {
			p.onTrial.Store(false)
			result <- err
		}()
		_, err = p.m.GetRaw(f.ctx, trialKey)
	})
	var overtime <-chan time.Time
	if limit := p.m.Timeout(resilient.OpGet); limit > 0 {
		timer := time.NewTimer(limit + answerSlack)
		defer timer.Stop()
		overtime = timer.C
	}
	select {
	case err := <-result:
		c := classOf(err)
		return c == resilient.OK || c == resilient.Missing
	case <-overtime:
		f.doubt(p, resilient.ErrTimeout)
	case <-f.ctx.Done():
	}
	return false
}
