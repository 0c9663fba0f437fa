package kvtest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

const (
	benchKeys  = 1000 // that a store holds while it is measured
	benchBatch = 100  // of them in one batch
)

// benchSizes are the values' sizes in bytes: a record, and a small document.
var benchSizes = []int{100, 64 << 10}

// RunBenchmarks measures a store that holds 1000 keys: each operation of one
// caller, with values of 100 bytes and of 64 KiB where these matter, and Get and
// Set of as many callers as there are processors. Batches are of 100 keys; they
// are skipped if the store is no Batcher. Each sub-benchmark opens a store of its
// own with h.Open and closes it; nothing else of h is used. A call that fails
// ends its benchmark.
func RunBenchmarks(b *testing.B, h Harness) {
	require.NotNil(b, h.Open, "Harness.Open is required")
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("Get/%dB", size), func(b *testing.B) {
			s := newBench(b, h, size)
			s.each(func(ctx context.Context, n int) error { return s.get(ctx, n) })
		})
		b.Run(fmt.Sprintf("Set/%dB", size), func(b *testing.B) {
			s := newBench(b, h, size)
			s.each(func(ctx context.Context, n int) error { return s.kv.SetRaw(ctx, s.key(n), s.value) })
		})
	}
	small := benchSizes[0]
	b.Run("GetParallel", func(b *testing.B) {
		s := newBench(b, h, small)
		s.parallel(func(ctx context.Context, n int) error { return s.get(ctx, n) })
	})
	b.Run("SetParallel", func(b *testing.B) {
		s := newBench(b, h, small)
		s.parallel(func(ctx context.Context, n int) error { return s.kv.SetRaw(ctx, s.key(n), s.value) })
	})
	b.Run("GetMissing", func(b *testing.B) {
		s := newBench(b, h, small)
		s.each(func(ctx context.Context, _ int) error {
			_, err := s.kv.GetRaw(ctx, "bench-none")
			if resilient.DefaultClassify(err) == resilient.Missing {
				return nil
			}
			return fmt.Errorf("not a miss: %w", err)
		})
	})
	b.Run("DeleteAndSet", func(b *testing.B) {
		s := newBench(b, h, small)
		s.each(func(ctx context.Context, n int) error {
			if err := s.kv.Delete(ctx, s.key(n)); err != nil {
				return err
			}
			return s.kv.SetRaw(ctx, s.key(n), s.value)
		})
	})
	b.Run("List", func(b *testing.B) {
		s := newBench(b, h, small)
		s.each(func(ctx context.Context, _ int) error {
			keys, err := s.kv.List(ctx, "bench-")
			if err == nil && len(keys) != benchKeys {
				return fmt.Errorf("%d keys in place of %d", len(keys), benchKeys)
			}
			return err
		})
	})
	b.Run("Health", func(b *testing.B) {
		s := newBench(b, h, small)
		s.each(func(ctx context.Context, _ int) error { return s.kv.Health(ctx) })
	})
	runBatchBenchmarks(b, h, small)
}

func runBatchBenchmarks(b *testing.B, h Harness, size int) {
	b.Run("BatchGet", func(b *testing.B) {
		s := newBench(b, h, size)
		batch, keys := s.batcher(), s.keys[:benchBatch]
		s.each(func(ctx context.Context, _ int) error {
			values, err := batch.BatchGetRaw(ctx, keys)
			if err == nil && len(values) != benchBatch {
				return fmt.Errorf("%d values in place of %d", len(values), benchBatch)
			}
			return err
		})
	})
	b.Run("BatchSet", func(b *testing.B) {
		s := newBench(b, h, size)
		batch, kv := s.batcher(), s.entries(0)
		s.each(func(ctx context.Context, _ int) error { return batch.BatchSetRaw(ctx, kv) })
	})
	b.Run("BatchDeleteAndSet", func(b *testing.B) {
		s := newBench(b, h, size)
		batch, kv := s.batcher(), s.entries(0)
		s.each(func(ctx context.Context, _ int) error {
			if err := batch.BatchDelete(ctx, s.keys[:benchBatch]); err != nil {
				return err
			}
			return batch.BatchSetRaw(ctx, kv)
		})
	})
}

// bench is a store that is measured.
type bench struct {
	*testing.B
	kv    resilient.KVWithHealth
	keys  []string // that it holds
	value []byte   // of each
}

// key returns the n-th key, and the first after the last.
func (s *bench) key(n int) string { return s.keys[n%benchKeys] }

// entries returns what a batch stores, from the n-th key on.
func (s *bench) entries(n int) map[string][]byte {
	kv := make(map[string][]byte, benchBatch)
	for _, key := range s.keys[n : n+benchBatch] {
		kv[key] = s.value
	}
	return kv
}

// newBench opens a store and fills it.
func newBench(b *testing.B, h Harness, size int) *bench {
	b.Helper()
	s := &bench{B: b, kv: h.Open(b), value: make([]byte, size)}
	b.Cleanup(func() { require.NoError(b, s.kv.Close(), "Close") })
	for i := range s.value {
		s.value[i] = byte(i)
	}
	for n := range benchKeys {
		s.keys = append(s.keys, fmt.Sprintf("bench-%04d", n))
	}
	batch, ok := s.kv.(resilient.Batcher)
	for n := 0; n < benchKeys; n += benchBatch {
		kv := s.entries(n)
		if ok {
			require.NoError(b, batch.BatchSetRaw(b.Context(), kv))
			continue
		}
		for key, value := range kv {
			require.NoError(b, s.kv.SetRaw(b.Context(), key, value))
		}
	}
	b.ReportAllocs()
	return s
}

// batcher skips the benchmark of a store that is no Batcher.
func (s *bench) batcher() resilient.Batcher {
	s.Helper()
	batch, ok := s.kv.(resilient.Batcher)
	if !ok {
		s.Skip("the store is no Batcher")
	}
	return batch
}

// get gets the n-th key, which is there.
func (s *bench) get(ctx context.Context, n int) error {
	value, err := s.kv.GetRaw(ctx, s.key(n))
	if err == nil && len(value) != len(s.value) {
		return fmt.Errorf("%d bytes in place of %d", len(value), len(s.value))
	}
	return err
}

// each measures call, made again and again by one caller.
func (s *bench) each(call func(ctx context.Context, n int) error) {
	s.Helper()
	ctx := s.Context()
	for n := 0; s.Loop(); n++ {
		if err := call(ctx, n); err != nil {
			s.Fatal(err)
		}
	}
}

// parallel measures call, made by as many callers at once as there are
// processors.
func (s *bench) parallel(call func(ctx context.Context, n int) error) {
	s.Helper()
	ctx := s.Context()
	var next atomic.Int64
	s.ResetTimer()
	s.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(ctx, int(next.Add(1))); err != nil {
				s.Error(err)
				return
			}
		}
	})
	s.StopTimer() // what closing takes is not measured
}
