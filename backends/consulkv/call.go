package consulkv

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// maxKey is the longest key of the contract. Escaped it has at most 1536 bytes;
// Consul takes a million.
const maxKey = 512

// request makes one request and returns what its failure means, nil if it was
// answered. send gets the context to use.
func (k *KV) request(ctx context.Context, send func(ctx context.Context) error) *fault {
	var t trace
	err := send(httptrace.WithClientTrace(ctx, t.hooks()))
	switch {
	case t.redirected.Load():
		// Whatever it says: another path may have answered, or another method, and
		// whoever sent it there may have applied it before.
		r := &redirected{err}
		return &fault{resilient.Failed, r.Error(), r}
	case err == nil:
		return nil
	}
	f := newFault(err)
	if t.asked.Load() && !t.sent.Load() {
		f.class = resilient.Refused
	}
	return f
}

// trace is how far net/http came with a request. Its hooks run on other
// goroutines too.
type trace struct {
	asked, sent, answered, redirected atomic.Bool
}

// hooks set the fields of t. net/http asks for a connection on the caller's
// goroutine, and sends nothing before it has one: what was asked for and not got
// when the call is over was not sent and will not be.
func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			t.asked.Store(true)
			if t.answered.Load() { // a retry of the transport's comes after no answer
				t.redirected.Store(true)
			}
		},
		GotConn:              func(httptrace.GotConnInfo) { t.sent.Store(true) },
		GotFirstResponseByte: func() { t.answered.Store(true) },
	}
}

// redirected is what became of a request that a borrowed client sent elsewhere.
type redirected struct{ err error }

func (r *redirected) Error() string { return "the client has followed a redirect" }
func (r *redirected) Unwrap() error { return r.err }

// explain makes the error that a call returns.
func (f *fault) explain(ctx context.Context, writes bool) error {
	return guard.Explain("consulkv", ctx, f.class, writes, f)
}

// reading returns the options of a read: the leader asks a majority whether it
// still is one before it answers.
func (k *KV) reading(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true, Token: k.token()}).WithContext(ctx)
}

func (k *KV) writing(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Token: k.token()}).WithContext(ctx)
}
