package kvtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedBatches are mistakes about batches.
var plantedBatches = []mistake{
	{"nil entries for missing keys", "Batch/BatchGet_MissingAbsent", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, err := w.KV.BatchGetRaw(ctx, keys)
			for _, key := range keys {
				if _, ok := values[key]; !ok && err == nil {
					values[key] = nil
				}
			}
			return values, err
		}
	}},
	{"a missing key fails the batch", "Batch/BatchGet_AllMissing_EmptyMap", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, err := w.KV.BatchGetRaw(ctx, keys)
			if err == nil && len(values) == 0 {
				return nil, resilient.ErrNotFound
			}
			return values, err
		}
	}},
	{"duplicates fail the batch", "Batch/BatchGet_Duplicates", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			if len(slices.Compact(slices.Sorted(slices.Values(keys)))) < len(keys) {
				return nil, errPlanted
			}
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
	{"a batch get reads prefixes", "Batch/BatchGet_OnlyRequestedKeys", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			for _, key := range keys {
				more, _ := w.KV.List(ctx, key)
				keys = append(keys, more...)
			}
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
	{"an empty batch is an error", "Batch/Empty_NoOp", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			if len(keys) == 0 {
				return errPlanted
			}
			return w.KV.BatchDelete(ctx, keys)
		}
	}},
	{"an empty batch of nothing gets nil", "Batch/Empty_NoOp", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			if len(keys) == 0 {
				return nil, nil
			}
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
	{"a batch set keeps what is there", "Batch/BatchSetOverwrites", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			there, err := w.KV.BatchGetRaw(ctx, slices.Collect(maps.Keys(kv)))
			if err != nil {
				return err
			}
			fresh := maps.Clone(kv)
			maps.DeleteFunc(fresh, func(key string, _ []byte) bool { _, ok := there[key]; return ok })
			return w.KV.BatchSetRaw(ctx, fresh)
		}
	}},
	{"a batch swallows errors", "Keys/NUL", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			_ = w.KV.BatchSetRaw(ctx, kv)
			return nil
		}
	}},
	{"a batch delete deletes prefixes", "Batch/BatchDelete_DeletesThoseAndNoOthers", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			for _, key := range keys {
				more, _ := w.KV.List(ctx, key)
				keys = append(keys, more...)
			}
			return w.KV.BatchDelete(ctx, keys)
		}
	}},
	{"a missing key fails a batch delete", "Batch/BatchDelete_MissingOK", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			there, err := w.KV.BatchGetRaw(ctx, keys)
			if err == nil && len(there) < len(keys) {
				return resilient.ErrNotFound
			}
			return errors.Join(err, w.KV.BatchDelete(ctx, keys))
		}
	}},
	{"batches end at 128 keys", "Batch/129Keys", func(w *twisted, _ <-chan struct{}) {
		w.batchDel = func(ctx context.Context, keys []string) error {
			return w.KV.BatchDelete(ctx, keys[:min(len(keys), 128)])
		}
	}},
	{"batches have at most 4096 keys", "Batch/70000Keys", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			if len(keys) > 4096 {
				return nil, errPlanted
			}
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
	{"batches have at most 1.5 MiB", "Batch/TotalBytesOver10MB", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			n := 0
			for _, value := range kv {
				n += len(value)
			}
			if n > 3<<19 {
				return errPlanted
			}
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"batches keep a cache of their own", "Batch/BatchSeesSingleSetAndViceVersa", func(w *twisted, _ <-chan struct{}) {
		var cache sync.Map
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			values, err := w.KV.BatchGetRaw(ctx, keys)
			for key, value := range values {
				if old, ok := cache.LoadOrStore(key, value); ok {
					values[key] = old.([]byte)
				}
			}
			return values, err
		}
	}},
	{"batches lock their keys in any order", "Batch/ConcurrentOverlapping_NoDeadlock", func(w *twisted, end <-chan struct{}) {
		var locks sync.Map
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			var held []chan struct{}
			defer func() {
				for _, lock := range held {
					<-lock
				}
			}()
			for key := range kv {
				lock, _ := locks.LoadOrStore(key, make(chan struct{}, 1))
				select {
				case lock.(chan struct{}) <- struct{}{}:
					held = append(held, lock.(chan struct{}))
				case <-end:
					return errPlanted
				}
				dawdle()
			}
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"batches are rolled back when they meet", "Batch/ConcurrentOverlapping_NoDeadlock", func(w *twisted, _ <-chan struct{}) {
		var mu sync.Mutex
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			if !mu.TryLock() {
				return errPlanted
			}
			defer mu.Unlock()
			dawdle()
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"batches that say they are atomic go key by key", "Batch/Atomic_AllOrNothing", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			for key, value := range kv {
				if err := w.KV.SetRaw(ctx, key, value); err != nil {
					return err
				}
				dawdle()
			}
			return nil
		}
	}},
}
