package kvtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

func healthCases() []testCase {
	return []testCase{
		{"Healthy_Nil", func(e *env) {
			s := e.open()
			for range 3 {
				require.NoError(e, s.kv.Health(e.Context()))
			}
			s.set("key", nil)
			require.NoError(e, s.kv.Health(e.Context()))
		}},
		{"PreCancelled", func(e *env) {
			s := e.open()
			ctx, cancel := context.WithCancel(e.Context())
			cancel()
			require.ErrorIs(e, s.kv.Health(ctx), context.Canceled)
			require.NoError(e, s.kv.Health(e.Context()), "one impatient caller is no verdict")
		}},
		{"HonoursCtx", func(e *env) {
			s := e.open()
			ctx, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Second))
			defer cancel()
			require.ErrorIs(e, s.kv.Health(ctx), context.DeadlineExceeded)
			for i := range 10 {
				_ = s.cut(i, s.kv.Health)
			}
			require.NoError(e, s.kv.Health(e.Context()))
		}},
		{"AfterClose_ErrClosed", func(e *env) {
			s := e.open()
			require.NoError(e, s.kv.Health(e.Context()))
			require.NoError(e, s.kv.Close())
			require.ErrorIs(e, s.kv.Health(e.Context()), resilient.ErrClosed)
		}},
		{"NoSideEffectsOnKeys", func(e *env) {
			s := e.open()
			for range 10 {
				require.NoError(e, s.kv.Health(e.Context()))
			}
			require.Empty(e, s.list(""))
			s.set("key", []byte("value"))
			require.NoError(e, s.kv.Health(e.Context()))
			require.Equal(e, []string{"key"}, s.list(""))
			s.holds("key", []byte("value"))
		}},
		{"ConcurrentHealth100", func(e *env) {
			s := e.open()
			require.NoError(e, e.finishes("100 checks at once", func() error {
				var wg sync.WaitGroup
				errs := make([]error, 100)
				for i := range errs {
					wg.Go(func() { errs[i] = s.kv.Health(e.Context()) })
				}
				wg.Wait()
				return errors.Join(errs...)
			}))
		}},
		{"DoesNotLeakConnections", func(e *env) {
			s := e.open()
			check := func(n int) {
				for range n {
					require.NoError(e, s.kv.Health(e.Context()))
				}
			}
			check(10)
			before := descriptors()
			check(e.size(1000, 200))
			// A pool may have opened a few more; a leak has one for each check.
			e.eventually("hardly more descriptors than before", func() bool { return descriptors() <= before+10 })
		}},
		{"AgreesWithDataPath", func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			for i := range 50 {
				if s.kv.Health(e.Context()) == nil {
					s.set("key", []byte{byte(i)})
					s.holds("key", []byte{byte(i)})
				}
			}
		}},
	}
}
