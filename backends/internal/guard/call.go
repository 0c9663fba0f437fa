package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Inside lets a call at a remote store in. The ctx that it returns ends with
// the caller's, with cause resilient.ErrClosed when the gate is shut, and with
// cause resilient.ErrTimeout after limit if the caller has set no deadline;
// limit <= 0 is none. A nil error is followed by leave.
func (g *Gate) Inside(ctx context.Context, limit time.Duration) (call context.Context, leave func(), err error) {
	if err := g.Admit(ctx); err != nil {
		return nil, nil, err
	}
	endLimit := func() {}
	if _, ok := ctx.Deadline(); !ok && limit > 0 {
		ctx, endLimit = context.WithTimeoutCause(ctx, limit, resilient.ErrTimeout)
	}
	call, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.closing, func() { cancel(resilient.ErrClosed) })
	return call, func() {
		stop()
		cancel(nil)
		endLimit()
		g.Leave()
	}, nil
}

// Over returns why the context of a call has ended: resilient.ErrClosed if the
// gate was shut, else what its Err says; nil while it goes on. A driver that
// puts the deadline on its socket can be back before the context's own timer
// has run: a deadline that has passed counts.
func Over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		if errors.Is(context.Cause(ctx), resilient.ErrClosed) {
			return resilient.ErrClosed
		}
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Explain makes one error of what ended a call: store names the package, class
// is what err means if ctx is left out of account, writes tells whether the
// call was one that changes something. It wraps err, and matches why ctx is
// over if it is, and resilient.ErrRefused if nothing was applied; else, in any
// class but Missing, Invalid and Conflict, resilient.ErrAmbiguous for a write
// and resilient.ErrUnavailable for a read. err must be fit to be printed.
func Explain(store string, ctx context.Context, class resilient.Class, writes bool, err error) error {
	over := Over(ctx)
	if over != nil && !errors.Is(err, over) {
		err = fmt.Errorf("%w: %w", over, err)
	}
	var sentinel error
	switch {
	case class == resilient.Missing, class == resilient.Invalid, class == resilient.Conflict:
		return fmt.Errorf("%s: %w", store, err)
	case class == resilient.Refused:
		sentinel = resilient.ErrRefused
	case writes:
		sentinel = resilient.ErrAmbiguous
	default:
		sentinel = resilient.ErrUnavailable
	}
	if errors.Is(err, sentinel) {
		return fmt.Errorf("%s: %w", store, err)
	}
	return fmt.Errorf("%s: %w: %w", store, sentinel, err)
}

// Judged returns the class of an error that says itself what became of the call,
// as those of Explain do; ok is false for all that a Classifier has to know.
func Judged(err error) (class resilient.Class, ok bool) {
	switch {
	case err == nil:
		return resilient.OK, true
	case errors.Is(err, resilient.ErrAmbiguous):
		return resilient.Failed, true
	case errors.Is(err, resilient.ErrRefused):
		return resilient.Refused, true
	}
	return resilient.OK, false
}
