package resilient

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// judge says what err, which the store returned from a call with ctx, means:
// for the caller (class) and for the breaker (outcome).
func (a *attempt) judge(ctx context.Context, err error) {
	s := a.store
	a.err = err
	a.class = s.classify(err)
	if a.class == Canceled || a.class > Failed {
		a.class = Failed // whether somebody has left, the contexts say
	}
	switch a.class {
	case Missing:
		a.missed()
		return
	case Invalid:
		a.outcome = breaker.Success
		a.partial()
		return
	}
	if errors.Is(err, ErrBusy) || errors.Is(err, breaker.ErrOpen) || s.closed.Load() && errors.Is(err, ErrClosed) {
		a.ownRefusal()
		return
	}
	a.sent = a.class != Refused
	if by, ok := endedBy(ctx); ok {
		a.ended(ctx, by)
	} else {
		a.outcome = breaker.Failure
		if a.class == Conflict {
			a.outcome = breaker.Success
		}
	}
	a.partial()
}

// missed judges an answer that the key is not there. Where that is no answer
// to the question asked it means that there was nothing to do, or, for a Set,
// that the store is not what it should be.
func (a *attempt) missed() {
	a.outcome = breaker.Success
	switch a.op {
	case OpDelete, OpBatchDelete, OpList:
		a.class, a.err = OK, nil
	case OpSet, OpBatchSet:
		a.class, a.outcome = Failed, breaker.Failure
	}
}

// ownRefusal judges what a layer of Holdfast below this one refused, or what
// our own Close cut short: no evidence about the store. A write that was under
// way when we closed it may have been applied.
func (a *attempt) ownRefusal() {
	a.outcome = breaker.Ignored
	if a.op.Writes() && errors.Is(a.err, ErrClosed) {
		a.class = Failed
	}
	a.partial()
}

// ended judges a call that failed while its context was over.
func (a *attempt) ended(ctx context.Context, by Class) {
	s := a.store
	if by == Failed { // our timeout
		if a.class != Refused {
			a.class = Failed
		}
		a.outcome, a.hung = breaker.Failure, true
		a.err = withCause(a.err, ErrTimeout)
		return
	}
	a.class, a.outcome = Canceled, breaker.Ignored
	if errors.Is(context.Cause(ctx), ErrSuperseded) {
		return
	}
	if s.cfg.timeout(a.op) > 0 && time.Since(a.clock) >= s.cfg.Probe.SlowAfter {
		a.hung = true
	}
}

// partial makes a batch write that stopped half-way one that may have been
// applied.
func (a *attempt) partial() {
	var p *partialError
	if !errors.As(a.err, &p) {
		return
	}
	a.sent = true
	if a.class != Canceled {
		a.class = Failed
	}
}

// classify returns the class of err, which is not nil, as the store's own
// classifier or DefaultClassify has it.
func (s *Store) classify(err error) Class {
	if s.own != nil {
		if c := s.own(err); c != OK {
			return c
		}
	}
	return DefaultClassify(err)
}
