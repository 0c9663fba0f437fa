package resilient

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/breaker"
)

// answer returns the error of a call's last attempt as the caller sees it.
func (s *Store) answer(ctx context.Context, a *attempt) error {
	switch {
	case a.err == nil:
		return a.err
	case a.class == Missing:
		return s.missed(a.err)
	}
	e := &Error{Op: a.op, Store: s.cfg.Name, Class: a.class, Attempts: a.number, Err: a.err}
	if a.class == Canceled {
		e.Err = withCause(a.err, ctx.Err())
		if !a.sent {
			e.Attempts = 0
		}
	}
	return e
}

// missed returns err as an error that matches ErrNotFound and Config.NotFound.
func (s *Store) missed(err error) error {
	also := s.cfg.NotFound
	switch {
	case err == ErrNotFound: //nolint:errorlint // the most frequent error of all, spared the walk
		return s.miss
	case errors.Is(err, ErrNotFound) && (also == nil || errors.Is(err, also)):
		return err
	}
	return &missing{err: err, also: also}
}

// missing is a store's own way to say that a key is not there.
type missing struct {
	err  error
	also error // Config.NotFound; may be nil
}

func (m *missing) Error() string { return m.err.Error() }
func (m *missing) Unwrap() error { return m.err }

func (m *missing) Is(target error) bool {
	return target == ErrNotFound || m.also != nil && errors.Is(m.also, target)
}

// withCause returns err as an error that matches cause too, which says why the
// call was given up.
func withCause(err, cause error) error {
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// refusals holds the errors of an operation that is not tried, which are made
// once so that refusing costs nothing while a store is away.
type refusals struct {
	op           Op
	name         string
	closed, busy Error
	last         atomic.Pointer[openRefusal]
}

// openRefusal is the error for one opening of the breaker.
type openRefusal struct {
	opening *breaker.OpenError
	err     Error
}

func (r *refusals) init(op Op, name string) {
	r.op, r.name = op, name
	r.closed = Error{Op: op, Store: name, Class: Refused, Err: ErrClosed}
	r.busy = Error{Op: op, Store: name, Class: Refused, Err: ErrBusy}
}

// open returns the error for the refusal of the breaker, of which there is one
// per opening.
func (r *refusals) open(refused error) error {
	opening, ok := refused.(*breaker.OpenError) //nolint:errorlint // as Allow returns it
	if last := r.last.Load(); ok && last != nil && last.opening == opening {
		return &last.err
	}
	last := &openRefusal{opening, Error{Op: r.op, Store: r.name, Class: Refused, Err: refused}}
	if ok {
		r.last.Store(last)
	}
	return &last.err
}
