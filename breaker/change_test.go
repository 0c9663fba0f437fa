package breaker

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// requirePath fails unless each change begins where the one before ended.
func requirePath(tb testing.TB, changes []Change) {
	tb.Helper()
	at, gen := Closed, uint64(0)
	for i, c := range changes {
		require.Equal(tb, at, c.From, "change %d of %v", i, changes)
		require.NotEqual(tb, c.From, c.To)
		require.Greater(tb, c.Generation, gen)
		at, gen = c.To, c.Generation
	}
}

func TestRegression_OnChangeMayCallEveryMethod(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		var b *Breaker
		b = mustNew(t, Config{Failures: 1, OnChange: func(c Change) {
			rec.add(c)
			b.State()
			b.Status()
			b.InDoubt()
			b.Doubt()
			b.ExpectChecks(true)
			b.ExpectChecks(false)
			b.StartCheck().Done(nil)
			b.ReportHealth(nil)
			if p, err := b.Allow(); err == nil {
				p.Done(Ignored, nil)
			}
			if len(rec.all()) == 1 {
				require.NoError(t, b.Force(Closed, "from inside"))
				require.Len(t, rec.all(), 1, "the nested change is told after this one")
				b.Release()
			}
		}})
		call(t, b, Failure)
		require.Equal(t, []string{"1 failed call", "forced closed: from inside", "released: 1 failed call"}, rec.reasons())
		requirePath(t, rec.all())
	})
}

func TestRegression_APanicInOnChangeLosesNoChange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{Failures: 1, Trials: 1, OnChange: func(c Change) {
			rec.add(c)
			panic("observer")
		}})
		call(t, b, Failure)
		pass(time.Second)
		call(t, b, Success)
		require.Equal(t, []string{"1 failed call", "open time over", "1 good trial call"}, rec.reasons())
	})
}

func TestRegression_AnOnChangeThatEndsItsGoroutineLosesNoChange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		var b *Breaker
		b = mustNew(t, Config{Failures: 1, OnChange: func(c Change) {
			rec.add(c)
			if c.Reason == "1 failed call" {
				require.NoError(t, b.Force(Closed, "")) // queued behind this change
			}
			runtime.Goexit()
		}})
		go func() {
			p, _ := b.Allow()
			p.Done(Failure, errDown)
		}()
		synctest.Wait()
		require.Equal(t, []string{"1 failed call", "forced closed"}, rec.reasons())
		b.Close() // which would wait for ever for a teller that is gone
	})
}

func TestS29_ASlowOnChangeHoldsUpNobodyElseAndKeepsTheOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		goOn := make(chan struct{})
		var running, most atomic.Int32
		b := mustNew(t, Config{Failures: 1, Trials: 1, OnChange: func(c Change) {
			most.Store(max(most.Load(), running.Add(1)))
			<-goOn
			rec.add(c)
			running.Add(-1)
		}})
		go func() {
			p, _ := b.Allow()
			p.Done(Failure, errDown)
		}()
		synctest.Wait()
		require.Equal(t, Open, b.State())
		pass(time.Second)
		require.Equal(t, HalfOpen, b.State(), "the timer's change is queued, not waited for")
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
		require.NoError(t, b.Force(Open, ""))
		require.Empty(t, rec.all())
		close(goOn)
		synctest.Wait()
		require.Equal(t, []string{"1 failed call", "open time over", "1 good trial call", "forced open"}, rec.reasons())
		require.Equal(t, int32(1), most.Load(), "one at a time")
		requirePath(t, rec.all())
	})
}

func TestABookedVerdictCountsAtOnceAndIsToldWhenItsCallerSays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{Fall: 1, OnChange: rec.add})
		tell := b.StartCheck().Book(errDown)
		require.Equal(t, Open, b.State())
		require.NoError(t, b.Force(Closed, "meanwhile"))
		b.StartCheck().Book(nil)() // has nothing to tell, and leaves the others to who has
		require.Empty(t, rec.all())
		tell()
		require.Equal(t, []string{"1 failed health check", "forced closed: meanwhile"}, rec.reasons())
		b.Release()
		require.Len(t, rec.all(), 3)
		Check{}.Book(errDown)()
	})
}

func TestCloseWaitsForARunningOnChangeAndTellsTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		goOn := make(chan struct{})
		b := mustNew(t, Config{OnChange: func(c Change) {
			<-goOn
			rec.add(c)
		}})
		go func() { _ = b.Force(Open, "") }()
		synctest.Wait()
		b.Release()
		var closed atomic.Int32
		for range 3 {
			go func() {
				b.Close()
				closed.Add(1)
			}()
		}
		synctest.Wait()
		require.Zero(t, closed.Load())
		close(goOn)
		synctest.Wait()
		require.Equal(t, int32(3), closed.Load())
		require.Equal(t, []string{"forced open", "released"}, rec.reasons())
	})
}

func TestRegression_CloseFromInsideOnChangeDoesNotWaitForItself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		var one, two *Breaker
		one = mustNew(t, Config{OnChange: func(c Change) {
			rec.add(c)
			one.Close()
			two.Close()
		}})
		two = mustNew(t, Config{OnChange: func(c Change) {
			rec.add(c)
			one.Close()
			two.Close()
		}})
		go func() { _ = one.Force(Open, "one") }()
		require.NoError(t, two.Force(Open, "two"))
		synctest.Wait()
		require.NotEmpty(t, rec.all())
	})
}

func TestAClosedBreakerStaysAsItIsAndHoldsNothingUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, state := range []State{Closed, HalfOpen, Open} {
			var rec recorder
			b := mustNew(t, Config{Failures: 1, Fall: 1, Rate: 1, MinCalls: 1, OnChange: rec.add})
			before := allow(t, b)
			if state != Closed {
				call(t, b, Failure)
			}
			if state == HalfOpen {
				pass(time.Second)
				allow(t, b)
			}
			told := len(rec.all())
			looked := b.word.Load()
			b.Close()
			b.Close()
			for range 5 { // more than there are trials
				if State(looked&wordState) == HalfOpen {
					_, err := b.allowSlowly(looked)
					require.NoError(t, err, "whose Allow was under way")
				}
			}
			require.Equal(t, state, b.State())
			pass(time.Hour)
			before.Done(Failure, errDown)
			for range 10 {
				call(t, b, Failure)
				b.ReportHealth(errDown)
				b.Doubt()
				b.ExpectChecks(false)
				b.Release()
			}
			require.ErrorIs(t, b.Force(Open, ""), errEnded)
			require.Equal(t, state, b.State())
			require.False(t, b.InDoubt())
			require.False(t, b.Status().Doubt)
			require.Len(t, rec.all(), told)
		}
	})
}

func TestTimesCarryTheMonotonicClock(t *testing.T) {
	var rec recorder
	b := mustNew(t, Config{Failures: 1, OnChange: rec.add})
	call(t, b, Failure)
	for name, at := range map[string]time.Time{
		"Change.At": rec.all()[0].At, "OpenError.Since": refused(t, b).Since, "Status.Since": b.Status().Since,
	} {
		require.True(t, strings.Contains(at.String(), "m=+"), "%s: %s", name, at)
	}
}
