package kvtest

import (
	"context"
	"errors"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedContexts are mistakes about a ctx that ends.
var plantedContexts = []mistake{
	{"Set looks at ctx when it is done", "Context/PreCancelled_NoEffect_ErrCanceled/Set", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			return errors.Join(w.KV.SetRaw(context.WithoutCancel(ctx), key, value), ctx.Err())
		}
	}},
	{"Delete ignores ctx", "Context/PreExpired_ErrDeadline/Delete", func(w *twisted, _ <-chan struct{}) {
		w.del = func(_ context.Context, key string) error { return w.KV.Delete(context.Background(), key) }
	}},
	{"Get ignores ctx", "Context/PreCancelled_NoEffect_ErrCanceled/Get", func(w *twisted, _ <-chan struct{}) {
		w.get = func(_ context.Context, key string) ([]byte, error) { return w.KV.GetRaw(context.Background(), key) }
	}},
	{"List ignores ctx", "Context/PreExpired_ErrDeadline/List", func(w *twisted, _ <-chan struct{}) {
		w.list = func(_ context.Context, prefix string) ([]string, error) {
			return w.KV.List(context.Background(), prefix)
		}
	}},
	{"Health ignores ctx", "Context/PreExpired_ErrDeadline/Health", func(w *twisted, _ <-chan struct{}) {
		w.health = func(context.Context) error { return w.KV.Health(context.Background()) }
	}},
	{"an expired ctx is told as canceled", "Context/PreExpired_ErrDeadline/BatchSet", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			if ctx.Err() != nil {
				return context.Canceled
			}
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"an empty batch ignores ctx", "Context/PreCancelled_EmptyBatch_ErrCanceled", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			if len(kv) == 0 {
				return nil
			}
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"Get waits for the server whatever ctx does", "Context/CancelMidFlight_ReturnsPromptly/Get", func(w *twisted, end <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			if _, limited := ctx.Deadline(); limited {
				<-end
			}
			return w.KV.GetRaw(ctx, key)
		}
	}},
	{"Get tells an end of ctx as a miss", "Context/CancelMidFlight_ReturnsPromptly/Get", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if ctx.Err() != nil {
				return nil, resilient.ErrNotFound
			}
			return value, err
		}
	}},
	{"Set acknowledges what an end of ctx kept from the store", "Context/CancelMidFlight_ReturnsPromptly/Set", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if _, limited := ctx.Deadline(); limited {
				<-ctx.Done()
				return nil
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
	{"a caller that leaves breaks the connection for the next", "Context/CancelDoesNotPoisonPool", func(w *twisted, _ <-chan struct{}) {
		var broken sync.Map
		w.set = func(ctx context.Context, key string, value []byte) error {
			if ctx.Err() != nil {
				broken.Store("connection", true)
				return ctx.Err()
			}
			if _, ok := broken.LoadAndDelete("connection"); ok {
				return errPlanted
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
}
