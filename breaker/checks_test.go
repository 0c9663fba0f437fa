package breaker

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFailedChecksInARowOpenItAndGoodOnesCloseIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		b.ReportHealth(errDown)
		b.ReportHealth(errDown)
		b.ReportHealth(nil)
		b.ReportHealth(errDown)
		b.ReportHealth(errDown)
		require.Equal(t, Closed, b.State())
		require.Equal(t, 2, b.Status().FailedChecks)
		b.ReportHealth(errDown)
		require.Equal(t, Open, b.State())
		require.ErrorIs(t, b.Status().Err, errDown)

		pass(time.Second - 1)
		b.ReportHealth(nil)
		b.ReportHealth(nil)
		require.Equal(t, Open, b.State(), "OpenFor is the least time open")
		pass(1)
		b.ReportHealth(nil)
		require.Equal(t, HalfOpen, b.State())
		require.Equal(t, 1, b.Status().GoodChecks)
		call(t, b, Success)
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, HalfOpen, b.State(), "what checks have opened, checks close")
		b.ReportHealth(nil)
		require.Equal(t, Closed, b.State())
		require.Equal(t, []string{
			"3 failed health checks in a row", "good health check", "2 good health checks in a row",
		}, rec.reasons())
	})
}

func TestWithRiseOneTheFirstGoodCheckClosesItByWayOfHalfOpen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{Rise: 1, OnChange: rec.add})
		openByChecks(t, b)
		pass(time.Second)
		b.ReportHealth(nil)
		require.Equal(t, Closed, b.State())
		require.Equal(t, []string{
			"3 failed health checks in a row", "good health check", "1 good health check",
		}, rec.reasons())
	})
}

func TestWhatCallsHaveOpenedNeedsGoodChecksAndThenGoodTrials(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		b.ExpectChecks(true)
		openByCalls(t, b)
		pass(10 * time.Second)
		require.Equal(t, Open, b.State(), "it waits for checks")
		b.ReportHealth(nil)
		require.Equal(t, Open, b.State())
		b.ReportHealth(errDown)
		b.ReportHealth(nil)
		require.Equal(t, Open, b.State(), "two in a row are needed")
		b.ReportHealth(nil)
		require.Equal(t, HalfOpen, b.State())
		for range 10 {
			b.ReportHealth(nil)
		}
		require.Equal(t, HalfOpen, b.State(), "a store that answers pings and fails writes must not flap")
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
	})
}

func TestGoodChecksWhileOpenCountFromTheOpeningAfterCalls(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Rise: 3})
		openByCalls(t, b)
		b.ReportHealth(nil)
		b.ReportHealth(nil)
		b.ReportHealth(nil)
		require.Equal(t, Open, b.State())
		pass(time.Second)
		require.Equal(t, Open, b.State(), "a check, not the clock, makes it half-open")
		b.ReportHealth(nil)
		require.Equal(t, HalfOpen, b.State())
	})
}

func TestAFailedTrialAfterChecksHadOpenedItMakesTrialsNecessary(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		openByChecks(t, b)
		pass(time.Second)
		b.ReportHealth(nil)
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
		require.Equal(t, 2*time.Second, b.Status().OpenFor)
		pass(2 * time.Second)
		b.ReportHealth(nil)
		require.Equal(t, Open, b.State())
		b.ReportHealth(nil)
		b.ReportHealth(errDown)
		require.Equal(t, Open, b.State())
		require.Equal(t, "health check failed", b.Status().Reason)
		pass(4 * time.Second)
		b.ReportHealth(nil)
		b.ReportHealth(nil)
		b.ReportHealth(nil)
		require.Equal(t, HalfOpen, b.State(), "the calls are still to be proven")
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
	})
}

func TestAGoodCheckNeverClearsTheCallsLedger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Rate: 0.9, MinCalls: 5, Failures: 4})
		for range 3 {
			call(t, b, Failure)
			b.ReportHealth(nil)
			b.ReportHealth(nil)
			b.ReportHealth(nil)
		}
		require.Equal(t, 3, b.Status().FailedCalls)
		require.True(t, b.InDoubt())
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	})
}

func TestAGoodCallDoesNotClearTheChecksLedger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		for range 3 {
			call(t, b, Failure)
			call(t, b, Success)
			b.ReportHealth(errDown)
		}
		require.Equal(t, Open, b.State())
	})
}

func TestDoubtThatACheckConfirmsOpensItAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		doubt        func(t *testing.T, b *Breaker)
	}{
		{"two failed calls", "failed health check confirmed failing calls", func(t *testing.T, b *Breaker) {
			call(t, b, Failure)
			require.False(t, b.InDoubt())
			call(t, b, Failure)
		}},
		{"a hung call", "failed health check confirmed a hung call", func(_ *testing.T, b *Breaker) { b.Doubt() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := mustNew(t, Config{Fall: 100})
				begunBefore := b.StartCheck()
				c.doubt(t, b)
				require.True(t, b.InDoubt())
				begunBefore.Done(errDown)
				require.Equal(t, Closed, b.State(), "this check began before the doubt")
				require.True(t, b.InDoubt(), "and does not settle it")
				b.ReportHealth(errDown)
				require.Equal(t, Open, b.State())
				require.Equal(t, c.reason, b.Status().Reason)
				require.False(t, b.InDoubt())

				pass(time.Second)
				b.ReportHealth(nil)
				b.ReportHealth(nil)
				require.Equal(t, Closed, b.State(), "a check has opened it, so checks close it")
			})
		})
	}
}

func TestAGoodCheckSettlesTheDoubtsRaisedBeforeItBegan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Fall: 100})
		b.Doubt()
		first := b.StartCheck()
		b.Doubt()
		first.Done(nil)
		require.True(t, b.InDoubt(), "the store may have begun to hang after the check had begun")
		b.ReportHealth(nil)
		require.False(t, b.InDoubt())
		b.ReportHealth(errDown)
		require.Equal(t, Closed, b.State())
	})
}

func TestWithFallNegativeChecksNeitherOpenItNorAreWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Fall: -1, Failures: 3})
		b.ExpectChecks(true)
		call(t, b, Failure)
		call(t, b, Failure)
		b.Doubt()
		for range 100 {
			b.ReportHealth(errDown)
		}
		require.Equal(t, Closed, b.State())
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
		b.ReportHealth(errDown)
		pass(time.Second)
		require.Equal(t, HalfOpen, b.State())
		b.ReportHealth(errDown)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
	})
}

func TestAVerdictFromBeforeATransitionIsVoid(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Fall: 1, Rise: 1})
		whileClosed := b.StartCheck()
		b.ReportHealth(errDown)
		require.Equal(t, Open, b.State())
		pass(time.Second)
		whileClosed.Done(nil)
		require.Equal(t, Open, b.State())
		whileOpen := b.StartCheck()
		b.ReportHealth(nil)
		require.Equal(t, Closed, b.State())
		whileOpen.Done(errDown)
		require.Equal(t, Closed, b.State())

		var zero Check
		zero.Done(errDown)
	})
}

func TestWithoutChecksTheOpenTimeAloneLeadsToHalfOpen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		b.ExpectChecks(false)
		openByChecks(t, b) // verdicts count, and don't switch the expectation on again
		pass(time.Second - 1)
		require.Equal(t, Open, b.State())
		pass(1)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, Closed, b.State(), "trials close what no check will")
	})
}

func TestChecksThatAreSwitchedOffAreNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		openByChecks(t, b)
		pass(5 * time.Second)
		require.Equal(t, Open, b.State(), "the first verdict has switched them on")
		b.ExpectChecks(false)
		require.Equal(t, HalfOpen, b.State())

		b.ExpectChecks(true)
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, HalfOpen, b.State())
		b.ExpectChecks(false)
		require.Equal(t, Closed, b.State())
	})
}

func TestChecksThatStopToComeAreNotWaitedForForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{MaxOpenFor: 45 * time.Second})
		openByChecks(t, b)
		pass(30 * time.Second)
		b.ReportHealth(errDown)
		pass(90*time.Second - 1)
		require.Equal(t, Open, b.State())
		pass(1)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
	})
}

func TestRegression_ReadingTheStateChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		openByChecks(t, b)
		pass(10 * time.Second) // long after OpenFor
		before := b.Status()
		for range 100 {
			require.Equal(t, Open, b.State())
			require.Equal(t, before, b.Status())
			require.False(t, b.InDoubt())
			refused(t, b)
		}
		require.Len(t, rec.all(), 1)
	})
}

func TestTheErrorOfAnOpeningIsThatOfItsLastFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		last := errors.New("last")
		b := mustNew(t, Config{Failures: 2, OnChange: rec.add})
		call(t, b, Failure)
		p := allow(t, b)
		p.Done(Failure, last)
		require.Equal(t, last, rec.all()[0].Err)
		require.Equal(t, last, b.Status().Err)
		pass(time.Second)
		require.Equal(t, last, b.Status().Err, "while half-open it is still why")
		call(t, b, Success)
		call(t, b, Success)
		require.NoError(t, b.Status().Err)
	})
}
