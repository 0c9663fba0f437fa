package kvtest

import (
	"context"
	"errors"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedLifecycle are mistakes about Close and what comes after it.
var plantedLifecycle = []mistake{
	{"a second Close fails", "Lifecycle/Close_Idempotent", func(w *twisted, _ <-chan struct{}) {
		var once sync.Map
		w.closeFunc = func() error {
			if _, again := once.LoadOrStore("closed", true); again {
				return errPlanted
			}
			return w.KV.Close()
		}
	}},
	{"a second Close waits for ever", "Lifecycle/Close_Concurrent", func(w *twisted, end <-chan struct{}) {
		lock := make(chan struct{}, 1)
		w.closeFunc = func() error {
			select {
			case lock <- struct{}{}:
				return w.KV.Close()
			case <-end:
				return nil
			}
		}
	}},
	{"Get works after Close", "Lifecycle/UseAfterClose_ErrClosed/Get", func(w *twisted, _ <-chan struct{}) {
		w.closeFunc = func() error { return nil }
	}},
	{"Get after Close is a miss", "Lifecycle/UseAfterClose_ErrClosed/Get", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if errors.Is(err, resilient.ErrClosed) {
				return nil, resilient.ErrNotFound
			}
			return value, err
		}
	}},
	{"a store that is being closed says that its keys are gone", "Lifecycle/Close_UnblocksInFlight", func(w *twisted, _ <-chan struct{}) {
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if errors.Is(err, resilient.ErrClosed) {
				return nil, resilient.ErrNotFound
			}
			return value, err
		}
	}},
	{"Close leaves a call behind for ever", "Lifecycle/Close_UnblocksInFlight", func(w *twisted, end <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			err := w.KV.SetRaw(ctx, key, value)
			if errors.Is(err, resilient.ErrClosed) {
				<-end
			}
			return err
		}
	}},
	{"a batch after Close gives what it has beside the error", "Lifecycle/UseAfterClose_ErrClosed/BatchGet", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, err := w.KV.BatchGetRaw(ctx, keys)
			if err != nil {
				return map[string][]byte{}, err
			}
			return values, err
		}
	}},
	{"a batch after Close swallows the error", "Lifecycle/UseAfterClose_ErrClosed/BatchGet", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, _ := w.KV.BatchGetRaw(ctx, keys)
			return values, nil
		}
	}},
	{"an empty batch works after Close", "Lifecycle/UseAfterClose_EmptyBatch_ErrClosed", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			if len(keys) == 0 {
				return ctx.Err()
			}
			return w.KV.BatchDelete(ctx, keys)
		}
	}},
	{"Set after Close hangs", "Lifecycle/UseAfterClose_ErrClosed/Set", func(w *twisted, end <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			err := w.KV.SetRaw(ctx, key, value)
			if errors.Is(err, resilient.ErrClosed) {
				<-end
			}
			return err
		}
	}},
	{"each store leaves a goroutine behind", "Lifecycle/Close_NoGoroutineLeak", func(w *twisted, end <-chan struct{}) {
		w.closeFunc = func() error {
			go func() { <-end }()
			return w.KV.Close()
		}
	}},
	{"each store leaves a file open", "Lifecycle/Close_NoFDLeak", func(w *twisted, end <-chan struct{}) { w.leakFileIn(&w.closeFunc, end) }},
}
