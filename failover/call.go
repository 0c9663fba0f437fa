package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// ready refuses a call that must not begin: after Close, or with a ctx that
// has ended.
func (f *KV) ready(ctx context.Context, op resilient.Op) error {
	if f.closing.Load() {
		return &Error{Op: op, Class: resilient.Refused, reason: resilient.ErrClosed}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return nil
}

// readyFor is ready for a call that names a key.
func (f *KV) readyFor(ctx context.Context, op resilient.Op, key string) error {
	if err := f.ready(ctx, op); err != nil {
		return err
	}
	if err := f.checkKey(key); err != nil {
		return &Error{Op: op, Class: resilient.Invalid, reason: err}
	}
	return nil
}

// readyForAll is ready for a call that names keys.
func (f *KV) readyForAll(ctx context.Context, op resilient.Op, keys []string) error {
	if err := f.ready(ctx, op); err != nil {
		return err
	}
	for _, key := range keys {
		if err := f.checkKey(key); err != nil {
			return &Error{Op: op, Class: resilient.Invalid, reason: err}
		}
	}
	return nil
}

// checkKey checks key against what every member takes.
func (f *KV) checkKey(key string) error {
	if key == "" {
		return resilient.ErrEmptyKey
	}
	return f.check(key)
}

// checkValue checks the length of a value against what every member takes.
func (f *KV) checkValue(op resilient.Op, value []byte) error {
	if f.limits.MaxValue > 0 && len(value) > f.limits.MaxValue {
		return &Error{Op: op, Class: resilient.Invalid, reason: resilient.ErrValueTooLarge}
	}
	return nil
}

// call is one call of the group's, as its caller sees it.
type call struct {
	op    resilient.Op
	start time.Time // zero without an observer
}

// unsigned returns ctx for calls that are made side by side or may outlast the
// caller's: the Receipt, which a group or a cache below would write into, is not
// theirs.
func unsigned(ctx context.Context) context.Context {
	return resilient.WithReceipt(ctx, nil)
}

func (f *KV) begin(op resilient.Op) call {
	c := call{op: op}
	if f.cfg.Observer != nil {
		c.start = time.Now()
	}
	return c
}

// outcome is how a call ended.
type outcome struct {
	served *peer // who answered; nil = the overlay, or with an error nobody
	owed   Members
	err    error
}

// degraded reports whether a member that is not the first answered.
func (o outcome) degraded() bool { return o.served != nil && o.served.i != 0 }

// done writes the receipt and tells the Done event, on the caller's goroutine.
func (f *KV) done(ctx context.Context, c call, o outcome) {
	r := resilient.ReceiptFrom(ctx)
	if r == nil && f.cfg.Observer == nil {
		return
	}
	store, class := "", classOfCall(o.err)
	if _, own := o.err.(*Error); !own && o.err != nil && ctx.Err() != nil && errors.Is(o.err, ctx.Err()) {
		class = resilient.Canceled // before anything was sent
	}
	switch {
	case o.served != nil:
		store = o.served.name
	case class == resilient.OK || class == resilient.Missing:
		store = f.cfg.Name // the overlay is the group's own
	}
	if r != nil {
		*r = resilient.Receipt{Store: store, Owed: o.owed.Len(), Degraded: o.degraded()}
	}
	if f.cfg.Observer == nil {
		return
	}
	now := time.Now()
	f.tell(ctx, resilient.Event{
		Kind: resilient.KindDone, Time: now, Store: store, Op: c.op, Class: class, Duration: now.Sub(c.start),
		Count: o.owed.Len(), Degraded: o.degraded(),
		Ambiguous: c.op.Writes() && errors.Is(o.err, resilient.ErrAmbiguous), Err: o.err,
	})
}

// tell gives the group's observer an event.
func (f *KV) tell(ctx context.Context, e resilient.Event) {
	e.Group = f.cfg.Name
	resilient.Tell(ctx, f.cfg.Observer, e)
}

// classOfCall returns the class of an error that a method of KV returns.
func classOfCall(err error) resilient.Class {
	if e, ok := err.(*Error); ok {
		return e.Class
	}
	return classOf(err)
}
