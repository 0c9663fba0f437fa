package kvtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
)

// plantedConcurrency are mistakes about calls side by side, and long rows of them.
var plantedConcurrency = []mistake{
	{"a write takes two steps", "Concurrency/ParallelSetGetDelete_SameKey", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if err := w.KV.SetRaw(ctx, key, value[:len(value)/2]); err != nil {
				return err
			}
			dawdle()
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
	{"all clients share one buffer", "Concurrency/ParallelDistinctKeys", func(w *twisted, _ <-chan struct{}) {
		var mu sync.Mutex
		var last []byte
		w.set = func(ctx context.Context, key string, value []byte) error {
			mu.Lock()
			last = value
			mu.Unlock()
			dawdle()
			mu.Lock()
			defer mu.Unlock()
			return w.KV.SetRaw(ctx, key, last)
		}
	}},
	{"a batch set deletes first", "Concurrency/ReadersDuringBatchSet", func(w *twisted, _ <-chan struct{}) {
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
			if err := w.KV.BatchDelete(ctx, slices.Collect(maps.Keys(kv))); err != nil {
				return err
			}
			dawdle()
			return w.KV.BatchSetRaw(ctx, kv)
		}
	}},
	{"a cache outlives a batch delete", "Model/RandomOps_vs_MapModel", func(w *twisted, _ <-chan struct{}) {
		cache := make(map[string][]byte)
		w.get = func(ctx context.Context, key string) ([]byte, error) {
			if value, ok := cache[key]; ok {
				return value, nil
			}
			value, err := w.KV.GetRaw(ctx, key)
			if err == nil {
				cache[key] = value
			}
			return value, err
		}
		w.set = func(ctx context.Context, key string, value []byte) error {
			delete(cache, key)
			return w.KV.SetRaw(ctx, key, value)
		}
		w.del = func(ctx context.Context, key string) error { delete(cache, key); return w.KV.Delete(ctx, key) }
		w.batchSet = func(ctx context.Context, kv map[string][]byte) error { clear(cache); return w.KV.BatchSetRaw(ctx, kv) }
	}},
	{"keys that fold case", "Model/RandomOps_vs_MapModel", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.ToLower) }},
}
