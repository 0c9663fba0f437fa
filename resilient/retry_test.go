package resilient

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// retrying is a Config that tries n times.
func retrying(n int) Config {
	cfg := quiet()
	cfg.Retry.Attempts = n
	cfg.Breaker.Failures = 100
	return cfg
}

// inTurn makes a fake whose Gets and Sets return errs, one after another, and
// then nil.
func inTurn(errs ...error) *fake {
	f := newFake()
	next := func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	}
	f.get = func(context.Context, string) ([]byte, error) { return nil, next() }
	f.set = func(context.Context, string, []byte) error { return next() }
	return f
}

var errRefusedByIt = fmt.Errorf("read-only: %w", ErrRefused)

func TestWhichFailuresAreTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		first     error
		classify  func(error) Class
		op        Op
		ambiguous bool // Retry.AmbiguousWrites
		tries     int
	}{
		"a refused read":                   {first: errRefusedByIt, op: OpGet, tries: 2},
		"a refused write":                  {first: errRefusedByIt, op: OpSet, tries: 2},
		"a failed read":                    {first: errBroken, op: OpGet, tries: 2},
		"a failed write":                   {first: errBroken, op: OpSet, tries: 1},
		"a failed write, if asked for":     {first: errBroken, op: OpSet, ambiguous: true, tries: 2},
		"a conflicting write":              {first: errBroken, classify: conflicted, op: OpSet, tries: 2},
		"a miss":                           {first: ErrNotFound, op: OpGet, tries: 1},
		"a value that is too large":        {first: ErrValueTooLarge, op: OpSet, tries: 1},
		"a layer of ours that is too busy": {first: ErrBusy, op: OpGet, tries: 1},
		"a breaker below ours":             {first: breaker.ErrOpen, op: OpGet, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := inTurn(c.first)
				cfg := retrying(3)
				cfg.Retry.AmbiguousWrites, cfg.Classify = c.ambiguous, c.classify
				s := wrap(t, f, cfg)
				var err error
				if c.op == OpGet {
					_, err = s.GetRaw(t.Context(), "k")
				} else {
					err = s.SetRaw(t.Context(), "k", nil)
				}
				require.Equal(t, c.tries, f.count(c.op))
				require.Equal(t, c.tries == 1, err != nil)
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestEachAttemptIsToldAndTheCallOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := retrying(3)
		cfg.Observer = rec
		s := wrap(t, inTurn(errBroken, errRefusedByIt, errBroken), cfg)
		_, err := s.GetRaw(t.Context(), "k")
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 3, e.Attempts)
		require.ErrorContains(t, err, "after 3 attempts")
		calls := rec.of(KindCall)
		require.Len(t, calls, 3)
		for i, call := range calls {
			require.Equal(t, i+1, call.Attempt)
		}
		require.Equal(t, []Class{Failed, Refused, Failed}, []Class{calls[0].Class, calls[1].Class, calls[2].Class})
		require.Len(t, rec.of(KindDone), 1)
		require.Equal(t, 3, rec.of(KindDone)[0].Attempt)
		require.NoError(t, s.Close())
	})
}

func TestAWriteThatMayHaveBeenAppliedOnceStaysSo(t *testing.T) {
	for name, then := range map[string]error{"refused": errRefusedByIt, "invalid": ErrValueTooLarge, "failed": errBroken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := retrying(2)
				cfg.Retry.AmbiguousWrites = true
				s := wrap(t, inTurn(errBroken, then), cfg)
				err := s.SetRaw(t.Context(), "k", nil)
				require.ErrorIs(t, err, ErrAmbiguous)
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, Failed, e.Class)
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestAWriteThatItsCallerLeftAtItsSecondAttemptIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f, n := newFake(), 0
		f.set = func(ctx context.Context, _ string, _ []byte) error {
			if n++; n == 1 {
				return errBroken
			}
			cancel()
			return ctx.Err()
		}
		cfg := retrying(2)
		cfg.Retry.AmbiguousWrites = true
		err := wrap(t, f, cfg).SetRaw(ctx, "k", nil)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, ErrAmbiguous)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, Canceled, e.Class)
	})
}

func TestARefusalOfOursOnTheWayLeavesTheStoresOwnWord(t *testing.T) {
	for name, away := range map[string]func(s *Store, f *fake){
		"its breaker opens": func(s *Store, _ *fake) { _ = s.Breaker().Force(breaker.Open, "test") },
		"it is busy":        func(s *Store, f *fake) { _ = s.Delete(context.Background(), "k") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := inTurn(errBroken)
				hour := make(chan struct{})
				f.del = func(context.Context, string) error { <-hour; return nil }
				var s *Store
				cfg := retrying(3)
				cfg.Retry.AmbiguousWrites, cfg.MaxInFlight = true, 1
				cfg.Classify = func(error) Class {
					time.AfterFunc(1, func() { away(s, f) }) // while it waits for the second attempt
					return OK
				}
				s = wrap(t, f, cfg)
				err := s.SetRaw(t.Context(), "k", nil)
				close(hour)
				require.ErrorIs(t, err, ErrAmbiguous)
				require.ErrorIs(t, err, errBroken)
				require.NotErrorIs(t, err, breaker.ErrOpen)
				require.NotErrorIs(t, err, ErrBusy)
				require.Equal(t, int64(retryReserve), s.budget.left.Load(), "for a retry that was not made")
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestDoneTellsTheWaitForAnAttemptThatWasNotMadeAndNotTheObserversTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := retrying(2)
		cfg.Retry.Base, cfg.Retry.Max = 1e6*time.Hour, 1e6*time.Hour
		cfg.Observer = Tee(rec, observer(func(_ context.Context, e Event) {
			if e.Op == OpSet {
				time.Sleep(time.Hour)
			}
		}))
		s := wrap(t, answers(errRefusedByIt), cfg)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_, err := s.GetRaw(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
		cfg.Retry = Retry{}
		s = wrap(t, answers(errRefusedByIt), cfg)
		require.Error(t, s.SetRaw(t.Context(), "k", nil))
		dones := rec.of(KindDone)
		require.Equal(t, []time.Duration{time.Minute, 0}, []time.Duration{dones[0].Duration, dones[1].Duration})
	})
}

func TestS20_DelaysGrowAndAreFullyJittered(t *testing.T) {
	r := Retry{Base: 10 * time.Millisecond, Max: 100 * time.Millisecond}.withDefaults()
	ceilings := []time.Duration{10, 20, 40, 80, 100, 100}
	var low, high [6]bool
	for range 500 {
		delays := r.delays()
		for i, ceiling := range ceilings {
			ceiling *= time.Millisecond
			d := delays.NextBackOff()
			require.LessOrEqual(t, d, ceiling+1)
			require.GreaterOrEqual(t, d, time.Duration(0))
			low[i] = low[i] || d < ceiling/10
			high[i] = high[i] || d > ceiling*9/10
		}
	}
	for i := range ceilings {
		require.True(t, low[i], "from nothing")
		require.True(t, high[i], "to all of it")
	}
}

func TestNoAttemptIsMadeAfterTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { return nil, errRefusedByIt }
		cfg := retrying(10)
		cfg.Retry.Base, cfg.Retry.Max = 1e6*time.Hour, 1e6*time.Hour
		s := wrap(t, f, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.GetRaw(ctx, "k")
		require.ErrorIs(t, err, ErrRefused)
		require.Zero(t, time.Since(began), "no sleep that would end too late is begun")
		require.Equal(t, 1, f.count(OpGet))
		require.NoError(t, s.Close())
	})
}

func TestASleepBetweenAttemptsEndsWithTheCallersCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := retrying(10)
		cfg.Retry.Base, cfg.Retry.Max = 1e6*time.Hour, 1e6*time.Hour
		f := newFake()
		f.set = func(context.Context, string, []byte) error { return errRefusedByIt }
		s := wrap(t, f, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		err := s.SetRaw(ctx, "k", nil)
		require.LessOrEqual(t, time.Since(began), time.Second)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, ErrRefused)
		require.NotErrorIs(t, err, ErrAmbiguous, "nothing was applied")
		require.NoError(t, s.Close())
	})
}

func TestASleepBetweenAttemptsEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := retrying(10)
		cfg.Retry.Base, cfg.Retry.Max = 1e6*time.Hour, 1e6*time.Hour
		s := wrap(t, inTurn(errRefusedByIt), cfg)
		time.AfterFunc(time.Second, func() { _ = s.Close() })
		began := time.Now()
		_, err := s.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrRefused)
		require.LessOrEqual(t, time.Since(began), time.Second)
	})
}

func TestS20_TheBudgetBoundsRetriesByWhatSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		fail, missing := true, false
		f.get = func(context.Context, string) ([]byte, error) {
			switch {
			case fail:
				return nil, errRefusedByIt
			case missing:
				return nil, ErrNotFound
			}
			return nil, nil
		}
		cfg := retrying(2)
		cfg.Breaker.Failures = 1000
		s := wrap(t, f, cfg)
		try := func(n int) (retries int) {
			before := f.count(OpGet)
			for range n {
				_, _ = s.GetRaw(t.Context(), "k")
			}
			return f.count(OpGet) - before - n
		}
		require.Equal(t, 10, try(100), "the reserve")
		require.Zero(t, try(100))
		fail = false
		require.Zero(t, try(20))
		fail = true
		require.Equal(t, 4, try(100), "20 successes earn 4")
		fail, missing = false, true
		require.Zero(t, try(20))
		fail = true
		require.Equal(t, 4, try(100), "a miss is an answer")
		fail, missing = false, false
		try(1000)
		fail = true
		require.Equal(t, 10, try(100), "no more than the reserve is kept")
		require.NoError(t, s.Close())
	})
}

func TestANegativeBudgetIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(errRefusedByIt)
		cfg := retrying(3)
		cfg.Breaker.Failures = -1
		cfg.Retry.Budget = -1
		s := wrap(t, f, cfg)
		for range 50 {
			_, _ = s.GetRaw(t.Context(), "k")
		}
		require.Equal(t, 150, f.count(OpGet))
		require.NoError(t, s.Close())
	})
}

func TestS20_NothingIsTriedAgainWhileTheBreakerIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := answers(errRefusedByIt)
		cfg := retrying(10)
		cfg.Breaker = breaker.Config{Failures: 3, OpenFor: time.Second, Trials: 1}
		s := wrap(t, f, cfg)
		_, err := s.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, errRefusedByIt)
		require.Equal(t, 3, f.count(OpGet), "the third opened it")
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State())
		_, err = s.GetRaw(t.Context(), "k")
		require.Error(t, err)
		require.Equal(t, 4, f.count(OpGet))
		require.NoError(t, s.Close())
	})
}

func TestACallThatEndsWellMakesNoDelays(t *testing.T) {
	s := wrap(t, newFake(), retrying(3))
	_ = s.SetRaw(t.Context(), "k", nil)
	bare := wrap(t, newFake(), quiet())
	_ = bare.SetRaw(t.Context(), "k", nil)
	get := func(s *Store) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = s.GetRaw(context.Background(), "k") })
	}
	require.Equal(t, get(bare), get(s))
}

func TestAnErrorKeepsTheReasonInItsChain(t *testing.T) {
	require.Equal(t, errBroken, withCause(errBroken, nil))
	wrapped := fmt.Errorf("driver: %w", context.Canceled)
	require.Equal(t, wrapped, withCause(wrapped, context.Canceled))
	both := withCause(errBroken, context.Canceled)
	require.ErrorIs(t, both, context.Canceled)
	require.ErrorIs(t, both, errBroken)
	require.False(t, errors.Is(both, context.DeadlineExceeded))
}

// TestS20_AStoreThatIsDownMeetsOneFifthMoreCallsAtMost: whatever Attempts
// allows, retries are paid for by what has succeeded, and a breaker that opens
// ends them.
func TestS20_AStoreThatIsDownMeetsOneFifthMoreCallsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, failures := range []int{-1, 0} {
			f := newFake()
			down := false
			f.get = func(context.Context, string) ([]byte, error) {
				if down {
					return nil, errRefusedByIt
				}
				return nil, nil
			}
			cfg := retrying(10)
			cfg.Breaker.Failures = failures
			s := wrap(t, f, cfg)
			const calls = 1000
			for range calls {
				_, _ = s.GetRaw(t.Context(), "k")
			}
			down = true
			before := f.count(OpGet)
			for range calls {
				_, _ = s.GetRaw(t.Context(), "k")
			}
			require.LessOrEqual(t, f.count(OpGet)-before, calls+calls/5)
			if failures < 0 {
				require.Greater(t, f.count(OpGet)-before, calls, "it was tried again")
			}
			require.NoError(t, s.Close())
		}
	})
}
