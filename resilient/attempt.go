package resilient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// attempt is one try of one call: in-flight bound, permit, timeout, call,
// class, and at its end, however it ends, the permit settled and the observer
// told.
type attempt struct {
	store   *Store
	clock   time.Time // when it began and, once that is told, when it ended; zero where nobody needs it
	timeout *TimeoutContext
	err     error
	number  int

	// One word, because clearing an attempt is a good part of its cost.
	op       Op
	class    Class
	outcome  breaker.Outcome
	refusal  refusal // why it was not made
	returned bool    // from the call; else it panicked or ended its goroutine
	sent     bool    // if Canceled: the store had got it, and did not say that it refused it
	hung     bool    // it used up the time it had
}

// refusal says why an attempt was not made.
type refusal uint8

const (
	notRefused refusal = iota
	refusedBusy
	refusedOpen
)

// reason is the Reason of the attempt's event.
func (r refusal) reason() string {
	switch r {
	case refusedBusy:
		return "busy"
	case refusedOpen:
		return "open"
	default:
		return ""
	}
}

// run makes the attempt. ctx is the caller's.
func (a *attempt) run(ctx context.Context, call func(context.Context) error) {
	s := a.store
	if s.counted {
		if n := s.inFlight.Add(1); s.cfg.MaxInFlight > 0 && n > int64(s.cfg.MaxInFlight) {
			s.inFlight.Add(-1)
			a.refuse(ctx, refusedBusy, &s.refusals[a.op].busy)
			return
		}
	}
	permit, err := s.breaker.Allow()
	if err != nil {
		if s.counted {
			s.inFlight.Add(-1)
		}
		a.refuse(ctx, refusedOpen, s.refusals[a.op].open(err))
		return
	}
	defer func() {
		// recover only makes an error of a panic: the permit is settled even
		// when the goroutine ends.
		if !a.returned {
			a.unwound(recover())
			a.end(ctx, permit)
		}
	}()
	within, limit := ctx, s.cfg.timeout(a.op)
	if limit > 0 {
		within = a.bound(ctx, limit)
	} else if s.timed {
		a.start()
	}
	if err = call(within); err != nil {
		a.judge(within, err)
	}
	a.returned = true
	if err == nil && limit == 0 && !s.counted { // there is nothing else to do at its end
		permit.Done(breaker.Success, nil)
		return
	}
	a.end(ctx, permit)
}

// start notes when the attempt begins. The first of a call that is told begins
// when the call does: reading the clock is most of what an observer costs.
func (a *attempt) start() {
	if a.clock.IsZero() {
		a.clock = time.Now()
	}
}

// bound returns ctx with the store's timeout, or as it is if it ends before
// that by itself.
func (a *attempt) bound(ctx context.Context, limit time.Duration) context.Context {
	a.start()
	deadline := a.clock.Add(limit)
	if d, ok := ctx.Deadline(); ok && !d.After(deadline) {
		return ctx
	}
	a.timeout = withDeadline(ctx, deadline)
	return a.timeout
}

// refuse ends an attempt that is not made.
func (a *attempt) refuse(ctx context.Context, why refusal, err error) {
	a.class, a.outcome, a.err, a.refusal = Refused, breaker.Ignored, err, why
	if a.store.cfg.Observer != nil {
		a.start()
		a.tell(ctx)
	}
}

// end settles the attempt: the timeout's context, the place in flight, the
// permit, and last, because that is foreign code, the observer.
func (a *attempt) end(ctx context.Context, permit breaker.Permit) {
	if a.timeout != nil {
		a.timeout.End()
	}
	if a.store.counted {
		a.store.inFlight.Add(-1)
	}
	permit.Done(a.outcome, a.err)
	if a.err != nil {
		a.doubt()
	}
	if a.store.cfg.Observer != nil {
		a.tell(ctx)
	}
}

// unwound is the judgement on a call that did not return.
func (a *attempt) unwound(panicked any) {
	a.class, a.outcome = Failed, breaker.Failure
	if panicked != nil {
		a.err = &PanicError{Value: panicked}
	} else {
		a.err = errExited
	}
}

// doubt asks for a health check at once where the attempt, or the one before
// it, gives reason to.
func (a *attempt) doubt() {
	s := a.store
	switch {
	case a.hung:
		s.breaker.Doubt()
	case a.outcome != breaker.Failure || !s.breaker.InDoubt():
		return
	}
	s.hurry()
}

// tell gives the observer the one event of the attempt.
func (a *attempt) tell(ctx context.Context) {
	now := time.Now()
	e := Event{
		Kind: KindCall, Time: now, Op: a.op, Class: a.class, Duration: now.Sub(a.clock), Attempt: a.number,
		Ambiguous: a.uncertain(), Reason: a.refusal.reason(), Err: a.err,
	}
	if a.refusal == notRefused {
		e.Outcome = a.outcome.String()
	}
	a.store.tell(ctx, &e)
	a.clock = now
}

// uncertain reports whether the attempt is a write that may have been applied
// although it was not acknowledged.
func (a *attempt) uncertain() bool {
	return a.op.Writes() && (a.class == Failed || a.class == Canceled && a.sent)
}

// errExited is a store's call that ended its goroutine.
var errExited = errors.New("holdfast: the store's call ended its goroutine")

// PanicError is a panic of the wrapped store. Its text names only the type of
// the value, which may hold anything. A value that is an error is not unwrapped:
// a store that panicked with ErrNotFound has not said that a key is missing.
type PanicError struct{ Value any }

// Error returns the type of the value that the store panicked with.
func (e *PanicError) Error() string {
	return fmt.Sprintf("holdfast: the store panicked with a %T", e.Value)
}
