package kvtest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"syscall"
)

// plantedOwnership are mistakes about whose memory a slice is.
var plantedOwnership = []mistake{
	{"Set keeps the caller's slice", "Ownership/MutateInputAfterSet", func(w *twisted, _ <-chan struct{}) { w.alias(false) }},
	{"Get hands out its own slice", "Ownership/MutateResultOfGet", func(w *twisted, _ <-chan struct{}) { w.alias(true) }},
	{"Set writes over the slice that Get handed out", "Ownership/GetResultReadableAfterManyWrites", func(w *twisted, _ <-chan struct{}) { w.alias(true) }},
	{"Set encrypts the caller's slice in place", "Ownership/InputIsNotChanged", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			err := w.KV.SetRaw(ctx, key, value)
			scribble(value)
			return err
		}
	}},
	{"Set appends to the caller's slice", "Ownership/InputIsNotChanged", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			return w.KV.SetRaw(ctx, key, append(value, "checksum"...)[:len(value)])
		}
	}},
	{"a Set that was left goes on reading the caller's slice", "Ownership/MutateInputAfterSetWasLeft", func(w *twisted, _ <-chan struct{}) {
		w.late(func(late func(map[string][]byte)) {
			w.set = func(ctx context.Context, key string, value []byte) error {
				<-ctx.Done()
				late(map[string][]byte{key: value})
				return ctx.Err()
			}
		})
	}},
	{"a batch set that was left goes on reading the caller's slices", "Ownership/MutateInputAfterBatchSetWasLeft", func(w *twisted, _ <-chan struct{}) {
		w.late(func(late func(map[string][]byte)) {
			w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
				<-ctx.Done()
				late(kv)
				return ctx.Err()
			}
		})
	}},
	{"a batch set keeps the caller's slices", "Ownership/MutateInputAfterBatchSet", func(w *twisted, _ <-chan struct{}) {
		var mu sync.Mutex
		kept := make(map[string][]byte)
		w.batchSet = func(_ context.Context, kv map[string][]byte) error {
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(kept, kv)
			return nil
		}
		w.batchGet = func(context.Context, []string) (map[string][]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			return maps.Clone(kept), nil
		}
	}},
	{"a batch get hands out its own slices", "Ownership/MutateResultOfBatchGet", func(w *twisted, _ <-chan struct{}) {
		var mu sync.Mutex
		kept := make(map[string][]byte)
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(kept) == 0 {
				kept, _ = w.KV.BatchGetRaw(ctx, keys)
			}
			return maps.Clone(kept), nil
		}
	}},
	{"Get hands out a file mapping", "Ownership/GetResultReadableAfterClose", func(w *twisted, _ <-chan struct{}) {
		var mapped [][]byte
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			value, err := w.KV.GetRaw(ctx, key)
			if err != nil {
				return nil, err
			}
			page, err := syscall.Mmap(-1, 0, len(value), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			if err != nil {
				return nil, err
			}
			mapped = append(mapped, page)
			copy(page, value)
			return page, nil
		}
		w.closeFunc = func() error {
			for _, page := range mapped {
				_ = syscall.Munmap(page)
			}
			mapped = nil
			return w.KV.Close()
		}
	}},
	{"List hands out its own slice", "Ownership/MutateResultOfList", func(w *twisted, _ <-chan struct{}) {
		var kept []string
		w.list = func(ctx context.Context, prefix string) (_ []string, err error) {
			if kept == nil {
				kept, err = w.KV.List(ctx, prefix)
			}
			return kept, err
		}
	}},
	{"a batch sorts the caller's keys", "Ownership/CallerKeysSliceNotRetained", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			slices.Sort(keys)
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
}
