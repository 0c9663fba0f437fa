package resilient

import (
	"context"
	"time"
)

// Receipt says who served a call.
type Receipt struct {
	Store    string        // who answered: a store, or its group for what a member is still owed; "" = nobody
	Owed     int           // members that an acknowledged write still owes
	Degraded bool          // not served by the most wanted member
	Stale    bool          // served by a cache in place of the store
	Age      time.Duration // of a stale value
}

type receiptKey struct{}

// WithReceipt returns a context with which each call writes into r who served
// it, once, on the caller's goroutine, before it returns. Calls that run at the
// same time need a Receipt each.
func WithReceipt(ctx context.Context, r *Receipt) context.Context {
	if r == nil && ReceiptFrom(ctx) == nil {
		return ctx // it has none to hide
	}
	return context.WithValue(ctx, receiptKey{}, r)
}

// ReceiptFrom returns the Receipt that WithReceipt put into ctx, or nil. The
// outermost layer of a call writes it; decorators of other packages use it too.
func ReceiptFrom(ctx context.Context) *Receipt {
	r, _ := ctx.Value(receiptKey{}).(*Receipt)
	return r
}
