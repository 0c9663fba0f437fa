package resilient

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// hollow is an error that a store returned as a nil pointer, by the classic
// mistake: its methods panic.
type hollow struct{ err error }

func (h *hollow) Error() string { return h.err.Error() }
func (h *hollow) Unwrap() error { return h.err }

// A health check runs on a goroutine of the Store's own, where a panic is the
// end of the process.
func TestRegression_AHealthErrorWhoseMethodsPanicEndsTheProcess(t *testing.T) {
	for name, cfg := range map[string]Config{
		"the error":                steady(),
		"the classifier":           {Probe: Probe{Jitter: -1}, Classify: func(err error) Class { panic(err) }},
		"one that does not return": {Probe: Probe{Jitter: -1}, Classify: func(error) Class { runtime.Goexit(); return OK }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, rec := newFake(), &recorder{}
				var sick atomic.Bool
				sick.Store(true)
				f.health = func(context.Context) error {
					switch {
					case !sick.Load():
						return nil
					case cfg.Classify != nil:
						return errBroken
					}
					return (*hollow)(nil)
				}
				cfg.Observer = rec
				s := wrap(t, f, cfg)
				err := s.Health(t.Context())
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, Failed, e.Class)
				time.Sleep(10 * time.Second)
				require.Equal(t, open, s.State().String(), "three failed checks")
				require.Equal(t, Failed, rec.of(KindProbe)[0].Class)
				sick.Store(false)
				time.Sleep(10 * time.Second)
				require.Equal(t, closed, s.State().String())
			})
		})
	}
}

func TestRegression_AClassifierThatSaysCanceledHidesAnOutage(t *testing.T) {
	for _, class := range []Class{Canceled, Failed + 1} {
		cfg := quiet()
		cfg.Classify = func(error) Class { return class }
		cfg.Breaker.Failures = 2
		s := wrap(t, answers(errBroken), cfg)
		_, err := s.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrUnavailable, "nobody has left: %v", class)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, Failed, e.Class)
		require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous)
	}
}

func TestRegression_ABatchDeleteThatStoppedHalfWayMatchesRefused(t *testing.T) {
	f := &batchFake{fake: newFake()}
	f.batchDel = func(_ context.Context, keys []string) error {
		delete(f.data, keys[0])
		return ErrNotFound // and stops at the key that is not there
	}
	f.del = func(context.Context, string) error { return ErrRefused }
	s := wrap(t, f, quiet())
	require.NoError(t, s.SetRaw(t.Context(), "a", []byte("v")))
	err := s.BatchDelete(t.Context(), []string{"a", "b"})
	require.Empty(t, f.keys())
	require.ErrorIs(t, err, ErrAmbiguous)
	require.NotErrorIs(t, err, ErrRefused)
}

// Somebody who wants no check after the first one writes the longest interval.
func TestRegression_TheLongestIntervalIsNoTimeAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // half of them, by their jitter
			f := newFake()
			s := wrap(t, f, Config{Probe: Probe{Interval: math.MaxInt64}})
			time.Sleep(24 * time.Hour)
			require.Equal(t, Up, s.Status().Condition)
			require.Equal(t, 1, f.count(OpHealth))
		}
	})
}

func TestRegression_TheLongTimeoutOfALongTimeoutIsNoTimeAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.list = func(ctx context.Context, _ string) ([]string, error) {
			select {
			case <-time.After(time.Second):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		cfg := quiet()
		cfg.Timeout = 1<<64/10 + 1 // ten times that is 2^64 + 4
		s := wrap(t, f, cfg)
		_, err := s.List(t.Context(), "")
		require.NoError(t, err)
	})
}

func TestRegression_AWriteThatMayHaveBeenAppliedMatchesRefused(t *testing.T) {
	f, n := newFake(), 0
	f.set = func(context.Context, string, []byte) error {
		if n++; n > 1 {
			return ErrRefused
		}
		return nil
	}
	err := wrap(t, f, quiet()).BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": nil})
	require.ErrorIs(t, err, ErrAmbiguous)
	require.NotErrorIs(t, err, ErrRefused, "a was written")
}

func TestRegression_AWriteThatMayHaveBeenAppliedMatchesRefusedWhenItIsTriedAgain(t *testing.T) {
	cfg := retrying(2)
	cfg.Retry.AmbiguousWrites = true
	err := wrap(t, inTurn(errBroken, ErrRefused), cfg).SetRaw(t.Context(), "k", nil)
	require.ErrorIs(t, err, ErrAmbiguous)
	require.NotErrorIs(t, err, ErrRefused, "the first attempt may have been applied")
}

// A call that Detach has left may end at any time, and its caller uses the
// Receipt by then. (The race detector sees it.)
func TestRegression_ADetachedStoreWritesTheReceiptOfACallerWhoHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return nil, nil }
		inner := wrap(t, f, quiet())
		cfg := quiet()
		cfg.Timeout = 100 * time.Millisecond
		s := wrap(t, Detach(inner, 0), cfg)
		receipt := Receipt{}
		_, err := s.GetRaw(WithReceipt(t.Context(), &receipt), "k")
		require.ErrorIs(t, err, ErrTimeout)
		receipt.Store = "mine"
		time.Sleep(2 * time.Second)
		require.Equal(t, "mine", receipt.Store)
	})
}

func TestRegression_CloseAndACloseFromInsideOnChangeWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, armed := newFake(), make(chan struct{})
		f.health = func(context.Context) error { return errBroken }
		var s *Store
		cfg := steady()
		cfg.Breaker.OnChange = func(breaker.Change) {
			<-armed
			require.NoError(t, s.Close())
		}
		s = wrap(t, f, cfg)
		time.Sleep(10 * time.Second)
		closed := make(chan struct{})
		go func() { defer close(closed); _ = s.Close() }()
		time.Sleep(time.Second)
		close(armed)
		<-closed
		require.Equal(t, 1, f.closes)
	})
}

func TestRegression_RetriesThatAreNotMadeUseUpTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(errRefusedByIt)
		cfg := retrying(2)
		cfg.Retry.Base, cfg.Retry.Max = time.Hour, time.Hour
		s := wrap(t, f, cfg)
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
			_, _ = s.GetRaw(ctx, "k")
			cancel()
		}
		require.Equal(t, 20, f.count(OpGet), "there is no time for a retry")
		_, _ = s.GetRaw(t.Context(), "k")
		require.Equal(t, 22, f.count(OpGet), "there is, and none was paid for")
	})
}

func TestRegression_RetriesThatFindNoKeyEarnNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, n := newFake(), 0
		f.get = func(context.Context, string) ([]byte, error) {
			if n++; n%2 == 1 {
				return nil, errRefusedByIt
			}
			return nil, ErrNotFound
		}
		cfg := retrying(2)
		cfg.Retry.Budget = 1
		s := wrap(t, f, cfg)
		for range 20 {
			_, err := s.GetRaw(t.Context(), "k")
			require.ErrorIs(t, err, ErrNotFound, "an answer pays for the next retry, a miss too")
		}
	})
}

func TestRegression_ARetryTakesATrialOfABreakerThatOpenedBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(errRefusedByIt)
		cfg := retrying(2)
		cfg.Breaker.Failures = 2
		cfg.Retry.Base, cfg.Retry.Max = 1e6*time.Hour, 1e6*time.Hour
		s := wrap(t, f, cfg)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = s.GetRaw(t.Context(), "k") }()
		synctest.Wait()
		permit, err := s.breaker.Allow()
		require.NoError(t, err)
		permit.Done(breaker.Failure, errBroken)
		<-done
		require.Equal(t, breaker.HalfOpen, s.State())
		require.Equal(t, 1, f.count(OpGet))
	})
}

func TestRegression_DoneSaysRefusedOfAWriteWhoseRetryEndedItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec, n := newFake(), &recorder{}, 0
		f.set = func(context.Context, string, []byte) error {
			if n++; n > 1 {
				runtime.Goexit()
			}
			return errRefusedByIt
		}
		cfg := retrying(3)
		cfg.Observer = rec
		s := wrap(t, f, cfg)
		done := make(chan struct{})
		go func() { defer close(done); _ = s.SetRaw(t.Context(), "k", nil) }()
		<-done
		require.Len(t, rec.of(KindDone), 1)
		told := rec.of(KindDone)[0]
		require.Equal(t, Failed, told.Class)
		require.True(t, told.Ambiguous)
		require.Equal(t, 2, told.Attempt)
	})
}

func TestRegression_ANegativeBudgetNearZeroIsABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(errRefusedByIt)
		cfg := retrying(3)
		cfg.Retry.Budget = -0.0005
		s := wrap(t, f, cfg)
		for range 20 {
			_, _ = s.GetRaw(t.Context(), "k")
		}
		require.Equal(t, 60, f.count(OpGet))
	})
}

// One time the store was back first, the next time it was given up first.
func TestRegression_AHealthCheckThatTimedOutIsNoTimeoutByChance(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.health = func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				time.Sleep(time.Until(deadline))
				return context.DeadlineExceeded
			}
			require.ErrorIs(t, wrap(t, f, quiet()).Health(t.Context()), ErrTimeout)
		})
	}
}

func TestRegression_WatchWithAnIntervalBelowZeroChecksWithoutEnd(t *testing.T) {
	for _, p := range []Probe{
		{FastInterval: -1}, {FastInterval: -1, DownInterval: -1}, {DownInterval: -1}, {Timeout: -1},
		{Interval: time.Second, Jitter: 1e9}, {Jitter: math.NaN()},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, n := newFake(), 0
			f.health = func(context.Context) error { return errBroken }
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			Watch(ctx, f, p, func(c Check) {
				require.Equal(t, errBroken, c.Err)
				if n++; n > 100 {
					cancel()
				}
			})
			require.LessOrEqual(t, n, 100, "%+v", p)
		})
	}
}

func TestRegression_TheNameOfNoStorePanicked(t *testing.T) {
	require.Equal(t, "store", BackendName(nil))
}
