package breaker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFailedCallsInARowOpenItAndTrialCallsCloseIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		for range 5 {
			require.Equal(t, Closed, b.State())
			call(t, b, Failure)
		}
		start := time.Now()
		require.Equal(t, Open, b.State())
		e := refused(t, b)
		require.Equal(t, OpenError{Since: start, RetryAfter: time.Second, Reason: "5 failed calls in a row"}, *e)
		require.Contains(t, e.Error(), "5 failed calls in a row")

		pass(time.Second)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		require.Equal(t, HalfOpen, b.State())
		call(t, b, Success)
		require.Equal(t, Closed, b.State())

		changes := rec.all()
		require.Len(t, changes, 3)
		require.Equal(t, Change{Closed, Open, "5 failed calls in a row", errDown, start, 2, time.Second}, changes[0])
		require.Equal(t, Change{Open, HalfOpen, "open time over", nil, start.Add(time.Second), 3, 0}, changes[1])
		require.Equal(t, Change{HalfOpen, Closed, "2 good trial calls", nil, start.Add(time.Second), 4, 0}, changes[2])
	})
}

func TestAGoodCallEndsTheRowAndAnIgnoredOneDoesNot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 3})
		for range 10 {
			call(t, b, Failure)
			call(t, b, Failure)
			call(t, b, Success)
		}
		require.Equal(t, Closed, b.State())
		call(t, b, Failure)
		call(t, b, Failure)
		call(t, b, Ignored)
		call(t, b, Outcome(77))
		require.Equal(t, Closed, b.State())
		require.Equal(t, 2, b.Status().FailedCalls)
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	})
}

func TestARowOfFailuresDoesNotAge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 5, Rate: 1, Window: 10 * time.Second})
		for range 5 {
			require.Equal(t, Closed, b.State())
			pass(19 * time.Second)
			call(t, b, Failure)
		}
		require.Equal(t, Open, b.State())
	})
}

func TestTheShareOfFailedCallsOpensItFromMinCallsOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: -1, Rate: 0.7, MinCalls: 10})
		outcomes := []Outcome{Failure, Failure, Failure, Failure, Failure, Failure, Success, Success, Success}
		for _, o := range outcomes { // 6 of 9
			call(t, b, o)
		}
		require.Equal(t, Closed, b.State())
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
		require.Equal(t, "70% of 10 calls failed in 10s", b.Status().Reason)
	})
}

func TestCallsLeaveTheWindow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: -1, Rate: 0.5, MinCalls: 4, Window: time.Second})
		call(t, b, Failure)
		call(t, b, Failure)
		call(t, b, Failure)
		pass(time.Second)
		call(t, b, Failure)
		require.Equal(t, Closed, b.State(), "only one of the four is in the window")
		pass(890 * time.Millisecond)
		call(t, b, Failure)
		call(t, b, Failure)
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	})
}

func TestALongIdleTimeCostsTheWindowNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: -1, Rate: 0.5, MinCalls: 2, Window: time.Millisecond})
		call(t, b, Failure)
		pass(10 * 365 * 24 * time.Hour) // 3e12 tenths: a loop over them would not end
		call(t, b, Failure)
		require.Equal(t, Closed, b.State())
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	})
}

func TestRegression_CallsThatTakeLongerThanTheWindowCount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: -1, Rate: 0.5, MinCalls: 3, Window: time.Second})
		var hung []Permit
		for range 3 {
			hung = append(hung, allow(t, b))
		}
		pass(time.Minute)
		for i := range hung {
			require.Equal(t, Closed, b.State())
			hung[i].Done(Failure, errDown)
		}
		require.Equal(t, Open, b.State())
	})
}

func TestRegression_APermitCountsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 2, Trials: 3})
		p := allow(t, b)
		for range 10 {
			p.Done(Failure, errDown)
		}
		require.Equal(t, 1, b.Status().FailedCalls)
		require.Zero(t, p)
		call(t, b, Failure)

		pass(time.Second)
		p = allow(t, b)
		other := allow(t, b)
		for range 10 {
			p.Done(Success, nil)
		}
		require.Equal(t, HalfOpen, b.State())
		require.Equal(t, 1, b.Status().Trials)
		require.Equal(t, 1, b.Status().InTrial, "settling twice gives one place back")
		other.Done(Ignored, nil)

		p = allow(t, b)
		theirs := p
		other = allow(t, b)
		p.Done(Ignored, nil)
		theirs.Done(Failure, errDown)
		require.Equal(t, HalfOpen, b.State(), "not even a copy of a trial's counts twice")
		require.Equal(t, 1, b.Status().InTrial)
		other.Done(Ignored, nil)

		var zero Permit
		zero.Done(Failure, errDown)
	})
}

func TestRegression_AStragglerFromBeforeTheOutageDecidesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 2, Trials: 1})
		var before []Permit
		for range 6 {
			before = append(before, allow(t, b))
		}
		openByCalls(t, b)
		gen := b.Status().Generation
		before[0].Done(Success, nil)
		before[1].Done(Failure, errDown)
		require.Equal(t, gen, b.Status().Generation)

		pass(time.Second)
		trial := allow(t, b)
		before[2].Done(Success, nil)
		before[3].Done(Failure, errDown)
		require.Equal(t, HalfOpen, b.State())
		require.Equal(t, 1, b.Status().InTrial, "a straggler gives no place back")
		refused(t, b)
		trial.Done(Success, nil)
		require.Equal(t, Closed, b.State())

		before[4].Done(Failure, errDown)
		before[5].Done(Failure, errDown)
		require.Equal(t, Closed, b.State())
		require.Zero(t, b.Status().FailedCalls)
	})
}

func TestAStragglersSuccessDoesNotEndANewRow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 2, Trials: 1})
		before := allow(t, b)
		openByCalls(t, b)
		pass(time.Second)
		call(t, b, Success)
		call(t, b, Failure)
		before.Done(Success, nil)
		require.Equal(t, 1, b.Status().FailedCalls)
	})
}

func TestTheOpenTimeGrowsAtEachRelapseAndIsForgottenAfterStableFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 1, MaxOpenFor: 5 * time.Second, StableFor: 3 * time.Second})
		call(t, b, Failure)
		for _, want := range []time.Duration{1, 2, 4, 5, 5} {
			require.Equal(t, want*time.Second, b.Status().OpenFor)
			require.Equal(t, want*time.Second, refused(t, b).RetryAfter)
			pass(want*time.Second - 1)
			require.Equal(t, Open, b.State())
			pass(1)
			require.Equal(t, HalfOpen, b.State())
			call(t, b, Failure)
		}
		require.Equal(t, "trial call failed", b.Status().Reason)
		pass(5 * time.Second)
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
		require.Zero(t, b.Status().OpenFor)

		pass(3*time.Second - 1)
		call(t, b, Failure)
		require.Equal(t, 5*time.Second, b.Status().OpenFor, "a relapse before StableFor is over")
		pass(5 * time.Second)
		call(t, b, Success)
		pass(3 * time.Second)
		call(t, b, Failure)
		require.Equal(t, time.Second, b.Status().OpenFor)
	})
}

func TestAHalfOpenBreakerLetsTrialsCallsThroughAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 3})
		call(t, b, Failure)
		opening := refused(t, b)
		pass(time.Second)
		var trials []Permit
		for range 3 {
			trials = append(trials, allow(t, b))
		}
		require.Same(t, opening, refused(t, b), "one error for each opening")
		trials[1].Done(Ignored, nil)
		require.Equal(t, HalfOpen, b.State(), "an ignored trial says nothing")
		trials[1] = allow(t, b)
		refused(t, b)
		for i := range trials {
			require.Equal(t, HalfOpen, b.State())
			trials[i].Done(Success, nil)
		}
		require.Equal(t, Closed, b.State())
	})
}

func TestRegression_ALostOrHungTrialFailsAtTheEndOfItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 1, Lease: 300 * time.Millisecond})
		call(t, b, Failure)
		pass(time.Second)

		hung := allow(t, b)
		pass(300*time.Millisecond - 1)
		require.Equal(t, HalfOpen, b.State())
		refused(t, b)
		pass(1)
		s := b.Status()
		require.Equal(t, Open, s.State)
		require.Equal(t, "trial call outlived its lease", s.Reason)
		require.ErrorIs(t, s.Err, errLease)
		require.Equal(t, 2*time.Second, s.OpenFor)
		hung.Done(Success, nil)
		require.Equal(t, s, b.Status(), "the late end changes nothing")

		pass(2 * time.Second)
		done := make(chan struct{})
		go func() { // whoever ends its goroutine never settles
			defer close(done)
			_, _ = b.Allow()
		}()
		<-done
		pass(300 * time.Millisecond)
		require.Equal(t, Open, b.State())
		pass(4 * time.Second)
		call(t, b, Success)
		require.Equal(t, Closed, b.State(), "nothing is wedged")
	})
}

func TestALeaseIsNotOutlivedByATrialThatEndsInTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 2, Lease: 300 * time.Millisecond})
		call(t, b, Failure)
		pass(time.Second)
		first := allow(t, b)
		pass(200 * time.Millisecond)
		second := allow(t, b)
		pass(50 * time.Millisecond)
		first.Done(Success, nil)
		pass(200 * time.Millisecond) // the first lease would be over, the second is not
		require.Equal(t, HalfOpen, b.State())
		second.Done(Success, nil)
		require.Equal(t, Closed, b.State())
		pass(time.Hour)
		require.Equal(t, Closed, b.State())
	})
}
