package resilient

import (
	"context"
	"errors"
	"time"
)

// request is a call before it is made.
type request struct {
	op        Op
	bad       error // why it must not be sent
	empty     bool  // a batch of nothing: it does nothing
	outermost bool  // Done events and Receipts are this Store's to give
}

// do makes a call of the wrapped store, as often as Config.Retry says. It is
// the only way to that store: every attempt passes the breaker and the
// timeout and is told to the observer, exactly once, whatever becomes of it.
func (s *Store) do(ctx context.Context, r request, call func(context.Context) error) error {
	if !r.outermost {
		_, _, err := s.try(ctx, r, call)
		return err
	}
	if s.cfg.Observer != nil {
		return s.doTold(ctx, r, call)
	}
	class, _, err := s.try(ctx, r, call)
	s.receipt(ctx, class)
	return err
}

// doTold is do with a Done event at its end. A call that ends its caller's
// goroutine has one too.
func (s *Store) doTold(ctx context.Context, r request, call func(context.Context) error) (err error) {
	began := time.Now()
	class, attempts := Failed, 0
	defer func() {
		now := time.Now()
		s.tell(ctx, Event{
			Kind: KindDone, Time: now, Op: r.op, Class: class, Duration: now.Sub(began), Attempt: attempts,
			Ambiguous: errors.Is(err, ErrAmbiguous), Err: err,
		})
	}()
	class, attempts, err = s.try(ctx, r, call)
	s.receipt(ctx, class)
	return err
}

// receipt writes who answered into the Receipt of ctx, if it has one.
func (s *Store) receipt(ctx context.Context, class Class) {
	r := ReceiptFrom(ctx)
	if r == nil {
		return
	}
	*r = Receipt{}
	if class == OK || class == Missing {
		r.Store = s.cfg.Name
	}
}

// try makes the first attempt, and leaves to again what comes after a failed
// one. It returns the class, the number of the last attempt, and the error as
// the caller sees it.
func (s *Store) try(ctx context.Context, r request, call func(context.Context) error) (Class, int, error) {
	switch {
	case r.bad != nil:
		return Invalid, 0, r.bad
	case s.closed.Load():
		return Refused, 0, &s.refusals[r.op].closed
	}
	if err := ctx.Err(); err != nil {
		return Canceled, 0, err
	}
	if r.empty {
		return OK, 0, nil
	}
	var a attempt // not a literal, which would be made twice
	a.store, a.op, a.number = s, r.op, 1
	a.run(ctx, call)
	switch {
	case a.err == nil:
		if s.retrying {
			s.budget.earn()
		}
		return OK, 1, nil
	case s.retrying && a.class != Missing:
		s.again(ctx, &a, call)
	}
	return a.class, a.number, s.answer(ctx, &a)
}

// tell gives e to the observer, with the names of the group and the store.
func (s *Store) tell(ctx context.Context, e Event) {
	if s.cfg.Observer == nil {
		return
	}
	if m := s.member.Load(); m != nil {
		e.Group = m.group
	}
	e.Store = s.cfg.Name
	Tell(ctx, s.cfg.Observer, e)
}
