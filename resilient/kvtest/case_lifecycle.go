package kvtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

func lifecycleCases(h Harness, can abilities) []testCase {
	cases := []testCase{
		{"Close_Idempotent", func(e *env) {
			s := e.open()
			s.set("key", nil)
			for range 3 {
				require.NoError(e, e.finishes("Close", s.kv.Close))
			}
		}},
		{"Close_Concurrent", func(e *env) {
			s := e.open()
			s.set("key", nil)
			err := e.finishes("8 calls of Close at once", func() error {
				var wg sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					wg.Go(func() { errs[i] = s.kv.Close() })
				}
				wg.Wait()
				return errors.Join(errs...)
			})
			require.NoError(e, err)
		}},
		{"Close_UnblocksInFlight", closeInFlight},
		{"Close_NoGoroutineLeak", func(e *env) {
			e.lifetime() // what the driver starts once for all is there after this
			before := e.settled(runtime.NumGoroutine)
			for range 8 {
				e.lifetime()
			}
			e.eventually("as few goroutines as before", func() bool { return runtime.NumGoroutine() <= before })
		}},
	}
	for _, name := range operationNames(can) {
		cases = append(cases, testCase{"UseAfterClose_ErrClosed/" + name, func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			o := s.named(name)
			require.NoError(e, o.run(e.Context(), "key", []byte("value")))
			require.NoError(e, s.kv.Close())
			for _, key := range []string{"key", "missing"} {
				err := e.finishes(name+" after Close", func() error { return o.run(e.Context(), key, []byte("value")) })
				require.ErrorIs(e, err, resilient.ErrClosed)
			}
		}})
	}
	cases = append(cases, when(can.batcher, testCase{"UseAfterClose_EmptyBatch_ErrClosed", func(e *env) {
		s := e.open()
		require.NoError(e, s.kv.Close())
		values, err := s.batch.BatchGetRaw(e.Context(), nil)
		require.ErrorIs(e, err, resilient.ErrClosed)
		require.Nil(e, values)
		require.ErrorIs(e, s.batch.BatchSetRaw(e.Context(), nil), resilient.ErrClosed)
		require.ErrorIs(e, s.batch.BatchDelete(e.Context(), nil), resilient.ErrClosed)
	}})...)
	cases = append(cases, when(descriptors() >= 0, testCase{"Close_NoFDLeak", func(e *env) {
		e.lifetime()
		before := e.settled(descriptors)
		for range 8 {
			e.lifetime()
		}
		e.eventually("as few descriptors as before", func() bool { return descriptors() <= before })
	}})...)
	return append(cases, when(h.Reopen != nil, testCase{"ReopenAfterClose", func(e *env) {
		s := e.open()
		for i := range 5 {
			key := fmt.Sprintf("k%d", i)
			s.set(key, []byte(key))
			s = e.reopen(s)
			require.Len(e, s.list(""), i+1)
			require.NoError(e, s.kv.Health(e.Context()))
		}
	}})...)
}

// lifetime opens a store, uses all of it, and closes it.
func (e *env) lifetime() {
	e.Helper()
	s := e.open()
	for _, o := range s.operations() {
		if err := o.run(e.Context(), "key", []byte("value")); err != nil {
			require.ErrorIs(e, err, resilient.ErrNotFound, o.name)
		}
	}
	require.NoError(e, s.kv.Close())
}

// settled returns the least that count says for some time: what is on its way
// out is not counted.
func (e *env) settled(count func() int) int {
	least := count()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		least = min(least, count())
	}
	return least
}

// descriptors returns how many files this process has open, -1 if the system
// does not tell.
func descriptors() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(files)
}

// closeInFlight closes the store under load. Each caller is told ErrClosed soon,
// and none that a key which is there is not.
func closeInFlight(e *env) {
	s := e.open()
	ctx := e.Context()
	s.set("key", []byte("value"))
	calls := []func(i int) error{
		func(int) error { _, err := s.kv.GetRaw(ctx, "key"); return err },
		func(i int) error { return s.kv.SetRaw(ctx, fmt.Sprintf("k%d", i%50), []byte("value")) },
		func(i int) error { return s.kv.Delete(ctx, fmt.Sprintf("k%d", i%50)) },
		func(int) error { _, err := s.kv.List(ctx, "key"); return err },
		func(int) error { return s.kv.Health(ctx) },
	}
	var running sync.WaitGroup
	var begun atomic.Int64
	var closed atomic.Bool // Close has returned
	errs := make([]error, len(calls))
	for g, call := range calls {
		running.Go(func() {
			for i := 0; ; i++ {
				late := closed.Load()
				err := call(i)
				begun.Add(1)
				switch {
				case errors.Is(err, resilient.ErrClosed):
					return
				case late:
					errs[g] = fmt.Errorf("a call after Close ended with %v, want ErrClosed", err)
					return
				case errors.Is(err, resilient.ErrNotFound):
					errs[g] = err
					return
				}
			}
		})
	}
	e.eventually("calls under way", func() bool { return begun.Load() > 20 })
	err := e.finishes("Close under load", s.kv.Close)
	closed.Store(true)
	require.NoError(e, err)
	require.NoError(e, e.finishes("a call that Close met", func() error { running.Wait(); return errors.Join(errs...) }))
}
