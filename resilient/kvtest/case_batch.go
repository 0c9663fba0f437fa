package kvtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"
)

func batchCases(h Harness, can abilities) []testCase {
	if !can.batcher {
		return nil
	}
	cases := []testCase{
		{"BatchSetThenGetEach", func(e *env) {
			s := e.open()
			want := numbered("k", 10, 100)
			s.batchSet(want)
			for key, value := range want {
				s.holds(key, value)
			}
			require.Equal(e, slices.Sorted(maps.Keys(want)), s.list(""))
		}},
		{"BatchSetOverwrites", func(e *env) {
			s := e.open()
			s.batchSet(map[string][]byte{"a": []byte("long old value"), "b": []byte("b")})
			s.batchSet(map[string][]byte{"a": []byte("new"), "c": nil})
			require.Equal(e, map[string][]byte{"a": []byte("new"), "b": []byte("b"), "c": {}}, s.batchGet("a", "b", "c"))
		}},
		{"BatchGet_MissingAbsent", func(e *env) {
			s := e.open()
			s.set("a", []byte("a"))
			require.Equal(e, map[string][]byte{"a": []byte("a")}, s.batchGet("missing1", "a", "missing2"))
		}},
		{"BatchGet_AllMissing_EmptyMap", func(e *env) {
			require.Empty(e, e.open().batchGet("a", "b"))
		}},
		{"BatchGet_Duplicates", func(e *env) {
			s := e.open()
			s.set("a", []byte("a"))
			require.Equal(e, map[string][]byte{"a": []byte("a")}, s.batchGet("a", "missing", "a", "a", "missing"))
		}},
		{"BatchGet_OnlyRequestedKeys", func(e *env) {
			s := e.open()
			s.batchSet(map[string][]byte{"a": nil, "aa": nil, "b": nil, "A": nil})
			require.Equal(e, map[string][]byte{"a": {}}, s.batchGet("a"))
		}},
		{"Empty_NoOp", func(e *env) {
			s := e.open()
			s.set("a", nil)
			for _, keys := range [][]string{nil, {}} {
				require.Empty(e, s.batchGet(keys...))
				s.batchDel(keys...)
			}
			s.batchSet(nil)
			s.batchSet(map[string][]byte{})
			require.Equal(e, []string{"a"}, s.list(""))
		}},
		{"BatchDelete_DeletesThoseAndNoOthers", func(e *env) {
			s := e.open()
			s.batchSet(map[string][]byte{"a": nil, "aa": nil, "b": nil, "c": nil})
			s.batchDel("a", "c")
			require.Equal(e, []string{"aa", "b"}, s.list(""))
		}},
		{"BatchDelete_MissingOK", func(e *env) {
			s := e.open()
			s.set("a", nil)
			s.batchDel("missing1", "a", "missing2")
			s.batchDel("missing1")
			require.Empty(e, s.list(""))
		}},
		{"BatchDelete_Duplicates", func(e *env) {
			s := e.open()
			s.batchSet(map[string][]byte{"a": nil, "b": nil})
			s.batchDel("a", "a", "missing", "a", "missing")
			require.Equal(e, []string{"b"}, s.list(""))
		}},
		{"BatchSeesSingleSetAndViceVersa", func(e *env) {
			s := e.open()
			for range 2 {
				s.set("a", []byte("single"))
				s.holds("a", []byte("single"))
				s.batchSet(map[string][]byte{"a": []byte("batch")})
				s.holds("a", []byte("batch"))
				s.set("a", nil)
				s.holds("a", nil)
				s.del("a")
				require.Empty(e, s.batchGet("a"))
				s.set("a", nil)
				s.holds("a", nil)
				s.batchDel("a")
				s.lacks("a")
				require.Empty(e, s.batchGet("a"))
			}
		}},
		{"129Keys", func(e *env) { e.batchOf(129, 20) }},
		{"1000Keys", func(e *env) { e.batchOf(1000, 20) }},
		{"70000Keys", func(e *env) { e.batchOf(e.size(70_000, 5_000), 1) }},
		{"TotalBytesOver10MB", func(e *env) { e.batchOf(e.size(24, 6), 448<<10) }},
		{"ConcurrentOverlapping_NoDeadlock", overlapping},
	}
	return append(cases, when(h.Atomic, testCase{"Atomic_AllOrNothing", atomicBatches})...)
}

// batchOf takes n keys with values of size bytes through every batch operation.
func (e *env) batchOf(n, size int) {
	e.Helper()
	s := e.open()
	want := numbered("k", n, size)
	keys := slices.Sorted(maps.Keys(want))
	s.batchSet(want)
	s.set("other", nil)
	got := s.batchGet(keys...)
	require.Len(e, got, n)
	for key, value := range want {
		require.True(e, string(value) == string(got[key]), "the value of %q", key)
	}
	require.Len(e, s.list("k"), n)
	s.batchDel(keys...)
	require.Equal(e, []string{"other"}, s.list(""))
	require.Empty(e, s.batchGet(keys...))
}

// overlapping has 8 clients write 25 batches of 20 keys each out of the same
// few, in different orders. All succeed.
func overlapping(e *env) {
	s := e.open()
	ctx := e.Context()
	err := e.finishes("8 clients with 25 batches of 20 keys each", func() error {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for g := range errs {
			wg.Go(func() {
				for i := range 25 {
					batch := make(map[string][]byte, 20)
					keys := make([]string, 0, 20)
					for k := range 20 {
						key := fmt.Sprintf("k%02d", (g*7+i*5+k*(g*2+1))%30)
						batch[key] = fmt.Appendf(nil, "%d-%d", g, i)
						keys = append(keys, key)
					}
					if errs[g] = s.batch.BatchSetRaw(ctx, batch); errs[g] != nil {
						return
					}
					if i%5 == 4 {
						if errs[g] = s.batch.BatchDelete(ctx, keys); errs[g] != nil {
							return
						}
					}
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(e, err)
	s.set("after", nil)
	s.holds("after", nil)
}

// atomicBatches has one writer give all keys ever newer numbers, in one batch
// each. A reader who has seen a number on one key sees no older one on any other
// after that; and a batch whose ctx ends is applied as a whole or not at all.
func atomicBatches(e *env) {
	s := e.open()
	ctx := e.Context()
	const keys = 40
	batch := func(n uint64) map[string][]byte {
		kv := make(map[string][]byte, keys)
		for i := range keys {
			kv[fmt.Sprintf("k%02d", i)] = binary.BigEndian.AppendUint64(nil, n)
		}
		return kv
	}
	s.batchSet(batch(0))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	errs := make(chan error, 4)
	for g := range 4 {
		readers.Go(func() {
			seen := uint64(0)
			for i := 0; ; i++ {
				key := fmt.Sprintf("k%02d", (i*(2*g+1)+g)%keys)
				value, err := s.kv.GetRaw(ctx, key)
				if err != nil || len(value) != 8 {
					errs <- fmt.Errorf("GetRaw: %d bytes, %w", len(value), err)
					return
				}
				n := binary.BigEndian.Uint64(value)
				if n < seen {
					errs <- fmt.Errorf("batch %d was seen on one key, and later batch %d on another", seen, n)
					return
				}
				seen = n
				select {
				case <-stop:
					return
				default:
					yield()
				}
			}
		})
	}
	last := uint64(e.size(100, 30))
	for n := uint64(1); n <= last; n++ {
		s.batchSet(batch(n))
	}
	close(stop)
	readers.Wait()
	close(errs)
	for err := range errs {
		require.NoError(e, err)
	}

	for i := range e.size(20, 8) {
		// Keys for each round: a batch that its caller left may still land.
		cut := numbered(fmt.Sprintf("cut%d-", i), keys, 50)
		err := s.cut(i, func(ctx context.Context) error { return s.batch.BatchSetRaw(ctx, cut) })
		applied := len(s.batchGet(slices.Collect(maps.Keys(cut))...))
		if err == nil {
			require.Equal(e, keys, applied, "a batch that was acknowledged is not there")
		}
		require.Contains(e, []int{0, keys}, applied, "a batch that was cut short is applied in part")
	}
}
