package kvtest

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

func ownershipCases(can abilities) []testCase {
	cases := []testCase{
		{"MutateInputAfterSet", func(e *env) {
			s := e.open()
			value := []byte("value")
			s.set("key", value)
			scribble(value)
			s.holds("key", []byte("value"))
		}},
		{"MutateInputAfterSetWasLeft", func(e *env) {
			s := e.open()
			rounds := e.size(20, 6)
			e.reuse(rounds, func(i int, value []byte) {
				_ = s.cut(i, func(ctx context.Context) error { return s.kv.SetRaw(ctx, roundKey(i), value) })
			})
			s.wroteWhole(rounds)
		}},
		{"MutateResultOfGet", func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			scribble(s.get("key"))
			got := s.get("key")
			_ = append(got, "beyond its end"...)
			s.holds("key", []byte("value"))
		}},
		{"InputIsNotChanged", func(e *env) {
			s := e.open()
			value := append(make([]byte, 0, 64), "value"...)
			s.set("key", value)
			require.Equal(e, "value", string(value))
			require.Equal(e, make([]byte, 59), value[5:64], "the store wrote beyond the value's end")
		}},
		{"MutateResultOfList", func(e *env) {
			s := e.open()
			s.set("a", nil)
			s.set("b", nil)
			s.list("")[0] = "changed"
			require.Equal(e, []string{"a", "b"}, s.list(""))
		}},
		{"GetResultReadableAfterManyWrites", func(e *env) {
			s := e.open()
			s.set("key", noise(1, 10_000))
			got := s.get("key")
			s.set("key", noise(2, 10_000))
			s.del("key")
			s.grow("other", e.size(60, 12))
			e.same(map[string][]byte{"key": noise(1, 10_000)}, map[string][]byte{"key": got})
		}},
		{"GetResultReadableAfterClose", func(e *env) {
			s := e.open()
			s.set("key", noise(1, 10_000))
			got := s.get("key")
			require.NoError(e, s.kv.Close())
			e.same(map[string][]byte{"key": noise(1, 10_000)}, map[string][]byte{"key": got})
		}},
	}
	return append(cases, when(can.batcher,
		testCase{"MutateInputAfterBatchSet", func(e *env) {
			s := e.open()
			batch := numbered("k", 50, 300)
			want := numbered("k", 50, 300)
			s.batchSet(batch)
			require.Equal(e, want, batch, "the store changed the caller's batch")
			for key, value := range batch {
				scribble(value)
				delete(batch, key)
			}
			e.same(want, s.batchGet(slices.Collect(maps.Keys(want))...))
		}},
		testCase{"MutateInputAfterBatchSetWasLeft", func(e *env) {
			s := e.open()
			rounds := e.size(20, 6)
			e.reuse(rounds, func(i int, value []byte) {
				batch := map[string][]byte{roundKey(i): value}
				_ = s.cut(i, func(ctx context.Context) error { return s.batch.BatchSetRaw(ctx, batch) })
			})
			s.wroteWhole(rounds)
		}},
		testCase{"MutateResultOfBatchGet", func(e *env) {
			s := e.open()
			want := numbered("k", 50, 300) // more than one page of a paged store
			keys := slices.Sorted(maps.Keys(want))
			s.batchSet(want)
			e.guarded(func() {
				got := s.batchGet(keys...)
				for key, value := range got {
					scribble(value)
					delete(got, key)
				}
			})
			e.same(numbered("k", 50, 300), s.batchGet(keys...))
		}},
		testCase{"BatchGetResultReadableAfterManyWrites", func(e *env) {
			s := e.open()
			want := numbered("k", 50, 300)
			s.batchSet(want)
			got := s.batchGet(slices.Collect(maps.Keys(want))...)
			for i := range 5 {
				batch := make(map[string][]byte, len(want))
				for key := range want {
					batch[key] = noise(1000+i, 300)
				}
				s.batchSet(batch)
			}
			s.batchDel(slices.Collect(maps.Keys(want))...)
			e.same(want, got)
		}},
		testCase{"BatchGetResultReadableAfterGrowth", func(e *env) {
			s := e.open()
			want := numbered("k", 50, 300)
			s.batchSet(want)
			got := s.batchGet(slices.Collect(maps.Keys(want))...)
			s.grow("other", e.size(200, 30))
			e.same(want, got)
		}},
		testCase{"BatchGetResultReadableAfterClose", func(e *env) {
			s := e.open()
			want := numbered("k", 50, 300)
			s.batchSet(want)
			got := s.batchGet(slices.Collect(maps.Keys(want))...)
			require.NoError(e, s.kv.Close())
			e.same(want, got)
		}},
		testCase{"CallerKeysSliceNotRetained", func(e *env) {
			s := e.open()
			s.batchSet(map[string][]byte{"a": []byte("a"), "b": []byte("b"), "c": []byte("c")})
			keys := []string{"c", "a", "c", "b"}
			got := s.batchGet(keys...)
			require.Equal(e, []string{"c", "a", "c", "b"}, keys, "the store changed the caller's keys")
			keys[0], keys[1] = "x", "y"
			require.Equal(e, []byte("a"), got["a"])
			keys = []string{"c", "a", "c"}
			s.batchDel(keys...)
			require.Equal(e, []string{"c", "a", "c"}, keys, "the store changed the caller's keys")
			keys[1] = "b"
			require.Equal(e, []string{"b"}, s.list(""))
		}},
	)...)
}

// reuse gives each round the same slice with another value in it.
func (e *env) reuse(rounds int, write func(i int, value []byte)) {
	value := make([]byte, roundSize)
	for i := range rounds {
		copy(value, noise(i, roundSize))
		write(i, value)
	}
	scribble(value)
}

// roundSize is more than fits into the buffer of a connection at once.
const roundSize = 64 << 10

func roundKey(i int) string { return fmt.Sprintf("round%d", i) }

// wroteWhole checks that each round has written its own value or nothing. A
// write that was left may land late: all are looked at twice.
func (s *store) wroteWhole(rounds int) {
	s.Helper()
	for range 2 {
		for i := range rounds {
			value, err := s.kv.GetRaw(s.Context(), roundKey(i))
			if err != nil {
				require.ErrorIs(s, err, resilient.ErrNotFound)
				continue
			}
			require.True(s, string(value) == string(noise(i, roundSize)), "a write that its caller had left took what came into the caller's slice later")
		}
	}
}

// grow adds n values of 64 KiB.
func (s *store) grow(prefix string, n int) {
	s.Helper()
	for i := range n {
		s.set(fmt.Sprintf("%s%d", prefix, i), noise(i, 64<<10))
	}
}

func scribble(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

// same compares contents; memory that is gone is a failure, not a crash.
func (e *env) same(want, got map[string][]byte) {
	e.Helper()
	require.Len(e, got, len(want))
	e.guarded(func() {
		for key, value := range want {
			require.True(e, string(value) == string(got[key]), "the value of %q changed after it was returned", key)
		}
	})
}

// guarded runs fn and turns a memory fault in it, as by a slice into a file
// that is no longer mapped or may not be written, into a failure.
func (e *env) guarded(fn func()) {
	e.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			require.FailNow(e, "a slice that the store returned is not the caller's own", "%v", r)
		}
	}()
	fn()
}
