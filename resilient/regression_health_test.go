package resilient

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// The breaker was due to become half-open when the check began: it told so there
// and then, to somebody who waited for the check.
func TestRegression_AHealthCheckFromInsideOnChangeWaitsForItself(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			var s *Store
			cfg := counts()
			cfg.Breaker.OnChange = func(c breaker.Change) {
				if c.To == breaker.HalfOpen {
					_ = s.Health(context.Background())
				}
			}
			s = wrap(t, answers(errBroken), cfg)
			_, _ = s.GetRaw(t.Context(), "k")
			time.Sleep(time.Second)
			_ = s.Health(t.Context())
			synctest.Wait()
			require.NoError(t, s.Close())
		})
	}
}

func TestRegression_OfTwoHealthChecksTheOlderHasTheLastWord(t *testing.T) {
	for range 3000 {
		f := newFake()
		var n atomic.Int64
		f.health = func(context.Context) error {
			if n.Add(1)%2 == 1 {
				return errBroken
			}
			return nil
		}
		s := wrap(t, f, quiet())
		var askers sync.WaitGroup
		for range 4 {
			askers.Go(func() { _ = s.Health(context.Background()) })
		}
		askers.Wait()
		last := s.Status().LastProbe.Err
		require.Equal(t, last != nil, s.Breaker().Status().FailedChecks > 0, "the last of %d checks said %v", n.Load(), last)
		require.NoError(t, s.Close())
	}
}

// The check under way had begun before the doubt, so that it cannot settle it.
func TestRegression_ADoubtThatBeginsDuringACheckWaitsForTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			switch n {
			case 1:
				return nil
			case 2:
				time.Sleep(time.Second)
			}
			return errBroken
		})
		b.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		cfg := steady()
		cfg.Probe.Interval, cfg.Probe.FastInterval = time.Hour, time.Minute
		s := wrap(t, b, cfg)
		time.Sleep(time.Second)
		go func() { _ = s.Health(context.Background()) }()
		synctest.Wait()
		for range 2 {
			_, _ = s.GetRaw(t.Context(), "k")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 3, b.checks())
		require.Equal(t, breaker.Open, s.State(), "the third confirmed the doubt")
	})
}
