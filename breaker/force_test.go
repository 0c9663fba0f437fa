package breaker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestForcedOpenRefusesEveryCallUntilRelease(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		start := time.Now()
		require.NoError(t, b.Force(Open, "maintenance"))
		s := b.Status()
		require.Equal(t, Open, s.State)
		require.True(t, s.Forced)
		require.Equal(t, "forced open: maintenance", s.Reason)
		require.Equal(t, OpenError{Since: start, Reason: "forced open: maintenance"}, *refused(t, b))
		for range 10 {
			b.ReportHealth(nil)
			pass(time.Minute)
			require.Equal(t, Open, b.State())
		}
		b.Release()
		require.Equal(t, Closed, b.State())
		require.False(t, b.Status().Forced)
		require.Equal(t, time.Now(), b.Status().Since)
		require.Equal(t, []string{"forced open: maintenance", "released"}, rec.reasons())
	})
}

func TestForcedClosedLetsEveryCallThroughWhateverTheEvidence(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		require.NoError(t, b.Force(Closed, ""))
		b.ExpectChecks(true)
		for range 100 {
			call(t, b, Failure)
			b.ReportHealth(errDown)
		}
		require.Equal(t, Closed, b.State())
		require.Equal(t, "forced closed", b.Status().Reason)
		require.Empty(t, rec.all(), "a state that is not shown is not told")

		b.Release()
		require.Equal(t, Open, b.State(), "the automatic state has gone on beside it")
		require.Equal(t, []string{"released: failed health check confirmed failing calls"}, rec.reasons())
		require.ErrorIs(t, rec.all()[0].Err, errDown)
	})
}

func TestUnderForcedClosedCallsCloseTheAutomaticState(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{})
		openByCalls(t, b)
		require.NoError(t, b.Force(Closed, "try"))
		pass(time.Second)
		for range 3 {
			call(t, b, Success)
		}
		b.Release()
		require.Equal(t, Closed, b.State())
	})
}

func TestForceAndReleaseVoidWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		name string
		void func(b *Breaker) error
	}{
		{"force", func(b *Breaker) error { return b.Force(Closed, "") }},
		{"release", func(b *Breaker) error { b.Release(); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := mustNew(t, Config{Failures: 1, Fall: 1})
				if c.name == "release" {
					require.NoError(t, b.Force(Closed, ""))
				}
				b.Doubt()
				permit, check := allow(t, b), b.StartCheck()
				require.NoError(t, c.void(b))
				require.False(t, b.InDoubt(), "older doubt counts no more")
				permit.Done(Failure, errDown)
				check.Done(errDown)
				b.Release()
				require.Equal(t, Closed, b.State())
				call(t, b, Failure)
				require.Equal(t, Open, b.State())
			})
		})
	}
}

func TestForceEmptiesTheLedgers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 3, Rate: 0.5, MinCalls: 3, Fall: 2})
		call(t, b, Failure)
		call(t, b, Failure)
		b.ReportHealth(nil)
		require.NoError(t, b.Force(Closed, ""))
		b.Release()
		require.Zero(t, b.Status().FailedCalls)
		call(t, b, Failure)
		call(t, b, Failure)
		require.Equal(t, Closed, b.State())
		call(t, b, Failure)
		require.Equal(t, Open, b.State())
	})
}

func TestALeaseEndsWithForce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 1})
		call(t, b, Failure)
		pass(time.Second)
		hung := allow(t, b)
		require.NoError(t, b.Force(Open, ""))
		b.Release()
		pass(time.Hour)
		require.Equal(t, HalfOpen, b.State(), "the hung trial is void")
		call(t, b, Success)
		require.Equal(t, Closed, b.State())
		hung.Done(Failure, errDown)
		require.Equal(t, Closed, b.State())
	})
}

func TestForcingAgainReplacesStateAndReason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		require.NoError(t, b.Force(Open, "one"))
		require.NoError(t, b.Force(Open, "two"))
		require.Equal(t, "forced open: two", refused(t, b).Reason)
		require.NoError(t, b.Force(Closed, "three"))
		require.Equal(t, []string{"forced open: one", "forced closed: three"}, rec.reasons())
		b.Release()
		b.Release()
		require.Len(t, rec.all(), 2)
	})
}

func TestOnlyOpenAndClosedCanBeForced(t *testing.T) {
	b := mustNew(t, Config{})
	for _, s := range []State{HalfOpen, State(9)} {
		require.ErrorIs(t, b.Force(s, "x"), errForceState)
	}
	require.False(t, b.Status().Forced)
}
