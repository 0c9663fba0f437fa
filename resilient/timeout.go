package resilient

import (
	"context"
	"sync/atomic"
	"time"
)

// TimeoutContext is a context with a deadline of Holdfast's own, whose
// context.Cause is then ErrTimeout. It is made for calls that end long before
// their deadline at stores that only ask when that is: the timer and the Done
// channel of a context.WithDeadlineCause are made when Done is first asked
// for, and everything is left to that context from then on. It is safe for
// concurrent use, and its children start no goroutine.
type TimeoutContext struct {
	parent   context.Context //nolint:containedctx // it is one
	deadline time.Time
	own      bool // deadline is earlier than the parent's
	real     atomic.Pointer[realContext]
}

// realContext is the standard library's context that a TimeoutContext turns
// into.
type realContext struct {
	ctx    context.Context //nolint:containedctx // part of one
	cancel context.CancelFunc
}

// endedEarly is in the place of a realContext after an End that found none.
var endedEarly realContext

// WithTimeout returns a context that ends d from now, with the cause
// ErrTimeout, or when parent does. If the parent's deadline is not later, it
// rules, and the cause is the parent's. It costs one allocation; End releases
// what the context has come to hold.
func WithTimeout(parent context.Context, d time.Duration) *TimeoutContext {
	return withDeadline(parent, time.Now().Add(d))
}

func withDeadline(parent context.Context, deadline time.Time) *TimeoutContext {
	c := &TimeoutContext{parent: parent, deadline: deadline, own: true}
	if d, ok := parent.Deadline(); ok && !d.After(deadline) {
		c.deadline, c.own = d, false
	}
	return c
}

// End releases what c holds and ends it, unless it has ended. It may be called
// more than once.
func (c *TimeoutContext) End() {
	if c.real.CompareAndSwap(nil, &endedEarly) {
		return
	}
	if r := c.real.Load(); r != &endedEarly {
		r.cancel()
	}
}

// Deadline returns the earlier of the parent's deadline and c's own.
func (c *TimeoutContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done returns a channel that is closed when c ends.
func (c *TimeoutContext) Done() <-chan struct{} { return c.become().Done() }

// Err returns nil until c has ended.
func (c *TimeoutContext) Err() error {
	switch r := c.real.Load(); r {
	case nil:
	case &endedEarly:
		return context.Canceled
	default:
		return r.ctx.Err()
	}
	if err := c.parent.Err(); err != nil {
		c.become() // so that no later answer differs
		return err
	}
	if !c.own || time.Now().Before(c.deadline) {
		return nil
	}
	return c.become().Err()
}

// Value returns the parent's value for key.
func (c *TimeoutContext) Value(key any) any {
	if r := c.real.Load(); r != nil && r != &endedEarly {
		return r.ctx.Value(key)
	}
	return c.parent.Value(key)
}

// become returns the standard context that c has turned into, which it makes
// if there is none.
func (c *TimeoutContext) become() context.Context {
	for {
		was := c.real.Load()
		if was != nil && was != &endedEarly {
			return was.ctx
		}
		r := new(realContext)
		switch {
		case was == &endedEarly: // Err has said Canceled, whatever the parent says now
			r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(c.parent))
			r.cancel()
		case c.own:
			r.ctx, r.cancel = context.WithDeadlineCause(c.parent, c.deadline, ErrTimeout)
		default:
			r.ctx, r.cancel = context.WithCancel(c.parent)
		}
		if c.real.CompareAndSwap(was, r) {
			return r.ctx
		}
		r.cancel()
	}
}

// ours reports whether the deadline of ctx is one of Holdfast's.
func ours(ctx context.Context) bool {
	for {
		c, ok := ctx.(*TimeoutContext)
		if !ok {
			return false
		}
		if c.own {
			return true
		}
		ctx = c.parent
	}
}
