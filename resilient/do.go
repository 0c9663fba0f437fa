package resilient

import (
	"context"
	"errors"
	"time"
)

// request is a call before it is made.
type request struct {
	bad       error // why it must not be sent
	op        Op
	empty     bool // a batch of nothing: it does nothing
	outermost bool // Done events and Receipts are this Store's to give
}

// do makes a call of the wrapped store, as often as Config.Retry says. It is
// the only way to that store: every attempt passes the breaker and the
// timeout and is told to the observer, exactly once, whatever becomes of it.
func (s *Store) do(ctx context.Context, r *request, call func(context.Context) error) (err error) {
	var a attempt // not a literal, which would be made twice
	var receipt *Receipt
	if r.outermost {
		if receipt = ReceiptFrom(ctx); receipt != nil {
			*receipt = Receipt{} // of the call before
		}
		if s.cfg.Observer != nil {
			began := time.Now()
			a.clock = began
			defer func() { s.tellDone(ctx, &a, began, err) }() // even of a call that ends its caller's goroutine
		}
	}
	a.op = r.op
	switch gone := ctx.Err(); {
	case r.bad != nil:
		a.class, err = Invalid, r.bad
	case s.closed.Load():
		a.class, err = Refused, &s.refusals[r.op].closed
	case gone != nil:
		a.class, err = Canceled, gone
	case r.empty:
	default:
		a.store, a.number = s, 1
		a.run(ctx, call)
		if a.err != nil || s.retrying {
			err = s.settle(ctx, &a, call)
		}
	}
	if receipt != nil {
		s.sign(receipt, a.class)
	}
	return err
}

// settle leaves to again what comes after a failed first attempt, a, and
// returns the error as the caller sees it.
func (s *Store) settle(ctx context.Context, a *attempt, call func(context.Context) error) error {
	switch {
	case a.refusal != notRefused:
		return a.err
	case a.err == nil:
		s.budget.earn()
		return nil
	case s.retrying && a.class == Missing: // an answer like any other
		s.budget.earn()
	case s.retrying:
		s.again(ctx, a, call)
		if s.timed {
			a.clock = time.Now() // it may have waited for an attempt that it did not make
		}
	}
	return s.answer(ctx, a)
}

// tellDone gives the observer the one Done event of a call, whose last attempt
// is a. What was done since that ended is the observer's own doing; a call that
// was not tried took no time.
func (s *Store) tellDone(ctx context.Context, a *attempt, began time.Time, err error) {
	now := a.clock
	if err == nil && a.err != nil { // the call ended the goroutine, and returned nothing
		err = s.answer(ctx, a)
	}
	s.tell(ctx, &Event{
		Kind: KindDone, Time: now, Op: a.op, Class: a.class, Duration: now.Sub(began), Attempt: a.number,
		Ambiguous: errors.Is(err, ErrAmbiguous), Err: err,
	})
}

// sign writes into r who answered a call of the class. What the wrapped store
// has written there itself, as a group or a cache does, says more and stands.
func (s *Store) sign(r *Receipt, class Class) {
	switch {
	case class != OK && class != Missing:
		*r = Receipt{}
	case r.Store == "":
		r.Store = s.cfg.Name
	}
}

// tell gives e to the observer, with the names of the group and the store.
func (s *Store) tell(ctx context.Context, e *Event) {
	if s.cfg.Observer == nil {
		return
	}
	e.Store = s.cfg.Name
	if m := s.member.Load(); m != nil {
		e.Group = m.group
		if m.hooks.Name != "" {
			e.Store = m.hooks.Name
		}
	}
	Tell(ctx, s.cfg.Observer, *e)
}
