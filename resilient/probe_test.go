package resilient

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// steady is a Config with probing whose intervals are not spread.
func steady() Config { return Config{Name: "s", Probe: Probe{Jitter: -1}} }

// beats records when health checks began, and answers them with what answer
// says.
type beats struct {
	*fake
	began  []time.Time
	answer func(ctx context.Context, n int) error // n = 1 for the first
}

func newBeats(answer func(ctx context.Context, n int) error) *beats {
	b := &beats{fake: newFake(), answer: answer}
	b.health = func(ctx context.Context) error {
		b.mu.Lock()
		b.began = append(b.began, time.Now())
		n := len(b.began)
		b.mu.Unlock()
		if b.answer == nil {
			return nil
		}
		return b.answer(ctx, n)
	}
	return b
}

// gaps returns the times between checks, the first counted from start.
func (b *beats) gaps(start time.Time) []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var gaps []time.Duration
	for _, at := range b.began {
		gaps = append(gaps, at.Sub(start))
		start = at
	}
	return gaps
}

func (b *beats) checks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.began)
}

func TestPaceFollowsTheStateOfTheStore(t *testing.T) {
	p := pace{cfg: Probe{}.withDefaults()}
	quiet := mood{state: breaker.Closed, good: true}
	away := mood{state: breaker.Open}
	require.Equal(t, 5*time.Second, p.next(quiet, 0.5))
	require.Equal(t, 2*time.Second, p.wait(away, 0.5), "calls have opened it since the check")
	require.Equal(t, time.Second, p.next(mood{state: breaker.Closed, good: true, doubt: true}, 0.5))
	require.Equal(t, time.Second, p.next(mood{state: breaker.Closed}, 0.5), "the latest check failed")
	require.Equal(t, time.Second, p.next(mood{state: breaker.HalfOpen, good: true}, 0.5))
	require.Equal(t, time.Second, p.next(mood{state: breaker.Open, good: true}, 0.5), "it may be back")
	for _, want := range []float64{2, 3, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30, 30} {
		require.InDelta(t, want, p.next(away, 0.5).Seconds(), 1e-6)
		require.InDelta(t, want, p.wait(away, 0.5).Seconds(), 1e-6, "looking changes nothing")
	}
	require.Equal(t, 5*time.Second, p.next(quiet, 0.5))
	require.Equal(t, 2*time.Second, p.next(away, 0.5), "forgotten")
	require.Equal(t, 3750*time.Millisecond, p.next(quiet, 0))
	require.Equal(t, 6250*time.Millisecond, p.next(quiet, 1))
	require.Equal(t, time.Duration(0), p.first(0))
	require.Equal(t, 250*time.Millisecond, p.first(1))
}

func TestAStoreIsCheckedEveryIntervalWhileAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := make(chan struct{})
		b := newBeats(func(context.Context, int) error { <-looked; return nil })
		start := time.Now()
		s := wrap(t, b, steady())
		require.Equal(t, Unknown, s.Status().Condition)
		require.NoError(t, s.SetRaw(t.Context(), "k", nil), "calls pass before the first verdict")
		close(looked)
		synctest.Wait()
		require.Equal(t, Up, s.Status().Condition)
		time.Sleep(21 * time.Second)
		require.Equal(t, []time.Duration{0, 5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}, b.gaps(start))
		require.Equal(t, start.Add(20*time.Second), s.Status().LastProbe.Time)
		require.NoError(t, s.Close())
	})
}

func TestChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		start := time.Now()
		s := wrap(t, b, Config{})
		time.Sleep(10 * time.Minute)
		require.NoError(t, s.Close())
		gaps := b.gaps(start)
		require.LessOrEqual(t, gaps[0], 250*time.Millisecond)
		short, long := false, false
		for _, gap := range gaps[1:] {
			require.GreaterOrEqual(t, gap, 3750*time.Millisecond)
			require.LessOrEqual(t, gap, 6250*time.Millisecond)
			short, long = short || gap < 4500*time.Millisecond, long || gap > 5500*time.Millisecond
		}
		require.True(t, short && long)
	})
}

func TestAThousandStoresDoNotProbeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at [300]atomic.Int32 // first checks per millisecond
		var stores []*Store
		start := time.Now()
		for range 1000 {
			var once atomic.Bool
			f := newFake()
			f.health = func(context.Context) error {
				if once.CompareAndSwap(false, true) {
					at[time.Since(start).Milliseconds()].Add(1)
				}
				return nil
			}
			s, err := Wrap(f, Config{})
			require.NoError(t, err)
			stores = append(stores, s)
		}
		time.Sleep(300 * time.Millisecond)
		total := int32(0)
		for i := range at {
			n := at[i].Load()
			require.LessOrEqual(t, n, int32(30), "in the same millisecond")
			total += n
		}
		require.Equal(t, int32(1000), total)
		for _, s := range stores {
			require.NoError(t, s.Close())
		}
	})
}

func TestFailedChecksOpenTheBreakerAndGoodOnesBringItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			if n <= 7 {
				return errBroken
			}
			return nil
		})
		rec := &recorder{}
		cfg := steady()
		cfg.Observer = rec
		start := time.Now()
		s := wrap(t, b, cfg)
		synctest.Wait()
		require.Equal(t, Degraded, s.Status().Condition, "it failed a check, and calls pass")
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, breaker.Closed, s.State())
		time.Sleep(time.Second)
		require.Equal(t, breaker.Open, s.State(), "Fall is 3")
		require.Equal(t, Down, s.Status().Condition)
		time.Sleep(40 * time.Second)
		require.Equal(t, breaker.Closed, s.State())
		require.Equal(t, Up, s.Status().Condition)
		require.Equal(t, []string{open, halfOpen, closed}, states(rec))
		seconds := func(of ...float64) (d []time.Duration) {
			for _, s := range of {
				d = append(d, time.Duration(s*1e9))
			}
			return d
		}
		require.Equal(t, seconds(0, 1, 1, 2, 3, 4.5, 6.75, 10.125, 1, 5, 5), b.gaps(start),
			"fast while in doubt, slower and slower while it is away, fast once it answers")
		require.NoError(t, s.Close())
	})
}

func TestS19_AHealthThatIgnoresItsCtxFailsAtItsTimeAndIsNotAskedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		b := newBeats(func(_ context.Context, n int) error {
			if n == 1 {
				<-wake
			}
			return nil
		})
		rec := &recorder{}
		cfg := steady()
		cfg.Observer = rec
		start := time.Now()
		s := wrap(t, b, cfg)
		time.Sleep(2*time.Second - 1)
		require.Empty(t, rec.of(KindProbe))
		time.Sleep(2 * time.Nanosecond)
		probes := rec.of(KindProbe)
		require.Len(t, probes, 1)
		require.ErrorIs(t, probes[0].Err, ErrTimeout)
		require.ErrorIs(t, probes[0].Err, context.DeadlineExceeded)
		require.EqualError(t, probes[0].Err, "holdfast: no answer to the health check within 2s")
		require.Equal(t, 2*time.Second, probes[0].Duration)
		require.True(t, probes[0].Slow)
		require.Equal(t, 1, s.Status().InFlight, "it was left behind")

		before := runtime.NumGoroutine()
		time.Sleep(2500 * time.Millisecond)
		require.Equal(t, breaker.Open, s.State(), "that it still hangs is the verdict of the two that were due")
		require.Equal(t, 1, b.checks())
		require.LessOrEqual(t, runtime.NumGoroutine(), before)
		require.Len(t, rec.of(KindProbe), 3)
		require.Equal(t, 4*time.Second, rec.of(KindProbe)[2].Duration)
		require.Error(t, s.Health(t.Context()))
		require.Equal(t, 1, b.checks())

		close(wake)
		time.Sleep(10 * time.Second)
		require.Equal(t, breaker.Closed, s.State())
		require.Zero(t, s.Status().InFlight)
		require.Greater(t, b.checks(), 1)
		require.True(t, s.Status().LastProbe.Time.After(start.Add(4*time.Second)))
		require.NoError(t, s.Close())
	})
}

func TestS28_AHealthThatPanicsOrEndsItsGoroutineHasFailedAndTheLoopGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			switch n {
			case 1:
				panic("health")
			case 2:
				runtime.Goexit()
			}
			return nil
		})
		rec := &recorder{}
		cfg := steady()
		cfg.Observer = rec
		s := wrap(t, b, cfg)
		time.Sleep(10 * time.Second)
		probes := rec.of(KindProbe)
		require.Len(t, probes, 4)
		var p *PanicError
		require.ErrorAs(t, probes[0].Err, &p)
		require.Error(t, probes[1].Err)
		require.NoError(t, probes[2].Err)
		require.Equal(t, Up, s.Status().Condition)
		require.NoError(t, s.Close())
	})
}

func TestS28_ObserversAndHooksThatPanicOrEndTheirGoroutineDoNotEndTheLoop(t *testing.T) {
	for name, breaks := range map[string]func(){"panic": func() { panic("observer") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBeats(nil)
				cfg := steady()
				cfg.Observer = observer(func(context.Context, Event) { breaks() })
				s := wrap(t, b, cfg)
				_, err := s.Join("g", Hooks{Checked: func(time.Time, Check) { breaks() }})
				require.NoError(t, err)
				time.Sleep(11 * time.Second)
				require.Equal(t, 3, b.checks())
				require.NoError(t, s.Health(t.Context()))
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestACheckThatCloseCutsShortIsNoEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(ctx context.Context, _ int) error { return hangs(ctx) })
		rec := &recorder{}
		cfg := steady()
		cfg.Breaker.Fall = 1
		cfg.Observer = rec
		s := wrap(t, b, cfg)
		synctest.Wait()
		waiting := make(chan error, 1)
		go func() { waiting <- s.Health(context.Background()) }()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, s.Close())
		require.Zero(t, time.Since(began))
		require.ErrorIs(t, <-waiting, ErrClosed)
		require.Empty(t, rec.of(KindProbe))
		require.Equal(t, breaker.Closed, s.State())
		require.True(t, s.Status().LastProbe.Time.IsZero())
		require.True(t, s.mood().good, "nothing is known against it")
	})
}

func TestAStoreThatCannotTellItsHealthIsNotAskedAgainAndStaysUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(context.Context, int) error { return ErrHealthUnknown })
		b.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		cfg := steady()
		cfg.Breaker.Fall, cfg.Breaker.Failures = 1, 1
		s := wrap(t, b, cfg)
		time.Sleep(time.Minute)
		require.Equal(t, 1, b.checks())
		require.Equal(t, Unknown, s.Status().Condition)
		require.Equal(t, breaker.Closed, s.State())
		require.ErrorIs(t, s.Status().LastProbe.Err, ErrHealthUnknown)
		require.Equal(t, ErrHealthUnknown, s.Health(t.Context()), "no *Error: nothing has failed")
		_, _ = s.GetRaw(t.Context(), "k")
		require.Equal(t, breaker.Open, s.State())
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State(), "the open time alone leads there")
		require.NoError(t, s.Close())
	})
}

func TestWithProbingOffTheOpenTimeLeadsToHalfOpenAndHealthStillWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			if n == 1 {
				return nil
			}
			return errBroken
		})
		b.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		cfg := counts()
		s := wrap(t, b, cfg)
		time.Sleep(time.Minute)
		require.Zero(t, b.checks())
		require.NoError(t, s.Health(t.Context()))
		require.Equal(t, Up, s.Status().Condition)
		_, _ = s.GetRaw(t.Context(), "k")
		require.Equal(t, breaker.Open, s.State())
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State(), "although a check was made by hand")
		err := s.Health(t.Context())
		require.ErrorIs(t, err, errBroken)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, OpHealth, e.Op)
		require.Equal(t, breaker.Open, s.State(), "its verdict counts")
		require.NoError(t, s.Close())
	})
}

// Without probing and without counting calls it is for the program to ask.
func TestChecksThatSomebodyElseAsksForOpenTheBreakerWhenNothingElseCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(context.Context, int) error { return errBroken })
		cfg := quiet()
		cfg.Breaker.Failures = -1
		s := wrap(t, b, cfg)
		for range 3 {
			require.Equal(t, breaker.Closed, s.State())
			require.Error(t, s.Health(t.Context()))
		}
		require.Equal(t, breaker.Open, s.State(), "Fall is 3")
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State())
		for range 2 {
			require.NoError(t, s.SetRaw(t.Context(), "k", nil))
		}
		require.Equal(t, breaker.Closed, s.State(), "Trials is 2")
	})
}

func TestTwoFailedCallsMakeTheNextCheckImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			if n == 1 {
				return nil
			}
			return errBroken
		})
		b.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		s := wrap(t, b, steady())
		time.Sleep(time.Second)
		_, _ = s.GetRaw(t.Context(), "k")
		synctest.Wait()
		require.Equal(t, 1, b.checks(), "one may be an accident")
		_, _ = s.GetRaw(t.Context(), "k")
		synctest.Wait()
		require.Equal(t, 2, b.checks())
		require.Equal(t, breaker.Open, s.State(), "doubt that is confirmed")
		require.NoError(t, s.Close())
	})
}

func TestADoubtThatIsSettledByTheTimeTheProberHearsOfItIsNotCheckedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		s := wrap(t, b, steady())
		time.Sleep(time.Second)
		s.hurry()
		synctest.Wait()
		require.Equal(t, 1, b.checks())
	})
}

func TestAHungStoreIsFoundWithinOneTimeoutOfTheProbe(t *testing.T) {
	for name, d := range map[string]time.Duration{"callers wait for our timeout": time.Hour, "callers are impatient": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBeats(func(ctx context.Context, n int) error {
					if n == 1 {
						return nil
					}
					return hangs(ctx)
				})
				b.get = func(ctx context.Context, _ string) ([]byte, error) { return nil, hangs(ctx) }
				cfg := steady()
				cfg.Probe.Interval = time.Hour
				s := wrap(t, b, cfg)
				time.Sleep(time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				_, err := s.GetRaw(ctx, "k")
				require.Error(t, err)
				require.Equal(t, breaker.Closed, s.State())
				time.Sleep(2*time.Second + 1)
				require.Equal(t, breaker.Open, s.State())
				require.Equal(t, 2, b.checks())
				require.NoError(t, s.Close())
			})
		})
	}
}

func TestACallerThatLeavesEarlyRaisesNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		b.get = func(ctx context.Context, _ string) ([]byte, error) { return nil, hangs(ctx) }
		cfg := steady()
		cfg.Probe.Interval = time.Hour
		s := wrap(t, b, cfg)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		_, err := s.GetRaw(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, 1, b.checks())
		require.False(t, s.breaker.InDoubt())
		ctx, cancel = context.WithTimeout(t.Context(), time.Second) // SlowAfter
		defer cancel()
		_, err = s.GetRaw(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, 2, b.checks(), "late enough")
		require.NoError(t, s.Close())
	})
}

func TestAHealthyStoreWhoseCallsFailIsNotCheckedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		b.set = func(context.Context, string, []byte) error { return errBroken }
		cfg := steady()
		cfg.Breaker.Failures = -1
		s := wrap(t, b, cfg)
		for range 1000 {
			_ = s.SetRaw(t.Context(), "k", nil)
			time.Sleep(10 * time.Millisecond)
		}
		require.LessOrEqual(t, b.checks(), 12, "in ten seconds")
		require.GreaterOrEqual(t, b.checks(), 10)
		require.Equal(t, Degraded, s.Status().Condition)
		require.NoError(t, s.Close())
	})
}

func TestAnOpeningByCallsShortensTheWaitForTheNextCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		b.set = func(context.Context, string, []byte) error { return errBroken }
		cfg := steady()
		cfg.Probe.Interval = time.Hour
		cfg.Breaker.Failures = 1
		s := wrap(t, b, cfg)
		time.Sleep(time.Minute)
		require.Equal(t, 1, b.checks())
		_ = s.SetRaw(t.Context(), "k", nil)
		require.Equal(t, breaker.Open, s.State())
		time.Sleep(5 * time.Second)
		require.GreaterOrEqual(t, b.checks(), 3)
		require.Equal(t, breaker.HalfOpen, s.State(), "Rise good checks lead there; a good call must close it")
		require.Equal(t, Degraded, s.Status().Condition)
		b.set = nil
		require.NoError(t, s.SetRaw(t.Context(), "k", nil))
		require.NoError(t, s.SetRaw(t.Context(), "k", nil))
		require.Equal(t, breaker.Closed, s.State())
		require.NoError(t, s.Close())
	})
}

func TestAnAnswerAtSlowAfterIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error { time.Sleep(time.Second + time.Duration(n-1)); return nil })
		s := wrap(t, b, quiet())
		require.NoError(t, s.Health(t.Context()))
		require.False(t, s.Status().LastProbe.Slow)
		require.NoError(t, s.Health(t.Context()))
		require.True(t, s.Status().LastProbe.Slow)
	})
}

func TestASlowAnswerIsToldAndDegradesTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(context.Context, int) error { time.Sleep(1500 * time.Millisecond); return nil })
		rec := &recorder{}
		cfg := steady()
		cfg.Observer = rec
		s := wrap(t, b, cfg)
		time.Sleep(2 * time.Second)
		probes := rec.of(KindProbe)
		require.Len(t, probes, 1)
		require.Equal(t, Event{
			Kind: KindProbe, Time: time.Now().Add(-500 * time.Millisecond), Store: "s", Op: OpHealth, Class: OK,
			Duration: 1500 * time.Millisecond, Slow: true,
		}, probes[0])
		require.Equal(t, Check{Time: probes[0].Time, Latency: 1500 * time.Millisecond, Slow: true}, s.Status().LastProbe)
		require.Equal(t, Degraded, s.Status().Condition)
		require.NoError(t, s.Close())
	})
}

func TestS21_CallersOfHealthAndTheProberShareOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(context.Context, int) error { time.Sleep(time.Second); return errBroken })
		s := wrap(t, b, steady())
		synctest.Wait()
		answers := make(chan error, 10)
		for range 10 {
			go func() { answers <- s.Health(context.Background()) }()
		}
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, s.Health(short), context.DeadlineExceeded)
		require.Equal(t, 100*time.Millisecond, time.Since(began), "who leaves does so at once")
		for range 10 {
			require.ErrorIs(t, <-answers, errBroken)
		}
		require.Equal(t, 1, b.checks())
		require.Equal(t, 1, s.Breaker().Status().FailedChecks, "one check is one verdict")
		require.NoError(t, s.Close())
	})
}

func TestACheckThatItsCallerLeftGoesOnForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(ctx context.Context, _ int) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		})
		s := wrap(t, b, quiet())
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.Error(t, s.Health(short))
		require.NoError(t, s.Health(t.Context()))
		require.Equal(t, 1, b.checks())
		require.NoError(t, s.Close())
	})
}

func TestHealthAsksTheStoreWhateverTheBreakerSays(t *testing.T) {
	b := newBeats(nil)
	s := wrap(t, b, quiet())
	require.NoError(t, s.Breaker().Force(breaker.Open, "test"))
	require.NoError(t, s.Health(t.Context()))
	require.Equal(t, 1, b.checks())
}

func TestHealthMayBeAskedFromAnObserverOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		var s *Store
		asked := make(chan error, 1)
		cfg := quiet()
		var once atomic.Bool
		cfg.Observer = observer(func(ctx context.Context, e Event) {
			if e.Kind == KindProbe && once.CompareAndSwap(false, true) {
				asked <- s.Health(context.Background())
			}
		})
		s = wrap(t, b, cfg)
		require.NoError(t, s.Health(t.Context()))
		require.NoError(t, <-asked)
		require.NoError(t, s.Close())
	})
}

func TestAnErrorOfHealthIsNeverMistakenForAnAnswer(t *testing.T) {
	for _, err := range []error{errBroken, ErrRefused, errors.New("x")} {
		b := newBeats(func(context.Context, int) error { return err })
		got := wrap(t, b, quiet()).Health(t.Context())
		require.ErrorIs(t, got, ErrUnavailable)
		require.ErrorIs(t, got, err)
		require.NotErrorIs(t, got, ErrAmbiguous)
	}
}
