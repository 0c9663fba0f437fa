package failover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// failback returns a change to Failback.
func failback(fb failover.Failback) func(*failover.Config) {
	return func(cfg *failover.Config) { cfg.Failback = fb }
}

func TestTheGroupGoesBackWhenAMemberHasBeenClosedForAfter(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: 7 * time.Second}), func(r *rig) {
		r.away(0)
		time.Sleep(time.Minute)
		r.back(0)
		r.activates(0)
		require.Equal(t, 7*time.Second, r.held(0))
	})
}

func TestTheZeroFailbackWaitsFiveSeconds(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.away(0)
		r.back(0)
		r.activates(0)
		require.Equal(t, 5*time.Second, r.held(0))
	})
}

func TestEveryRelapseDoublesTheWaitUpToMaxAfter(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: time.Second, MaxAfter: 5 * time.Second}), func(r *rig) {
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			r.away(0)
			r.back(0)
			r.activates(0)
			require.Equal(t, want, r.held(0))
		}
	})
}

func TestARelapseOfAMemberThatIsStillHeldBackCounts(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: 10 * time.Second, MaxAfter: time.Minute}), func(r *rig) {
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.kv.Active())
		r.away(0)
		r.back(0)
		r.activates(0)
		require.Equal(t, 20*time.Second, r.held(0))
	})
}

func TestTenCleanMinutesForgiveOneRelapse(t *testing.T) {
	for _, c := range []struct {
		clean time.Duration
		want  time.Duration // after 1, 2 and 4 s
	}{
		{9 * time.Minute, 8 * time.Second},
		{11 * time.Minute, 4 * time.Second},
		{21 * time.Minute, 2 * time.Second},
		{31 * time.Minute, time.Second},
		{10 * time.Hour, time.Second},
	} {
		t.Run(c.clean.String(), func(t *testing.T) {
			inRig(t, 2, failback(failover.Failback{After: time.Second}), func(r *rig) {
				for range 3 {
					r.away(0)
					r.back(0)
					r.activates(0)
				}
				require.Equal(t, 4*time.Second, r.held(0))
				time.Sleep(c.clean - 4*time.Second)
				r.away(0)
				r.back(0)
				r.activates(0)
				require.Equal(t, c.want, r.held(0))
			})
		})
	}
}

func TestManualLeavesTheReturnToTheOperator(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{Manual: true}), func(r *rig) {
		for range 2 { // the second return is no different
			r.away(0)
			require.NoError(t, r.kv.Failback(r.ctx), "while there is nobody to go back to")
			require.Equal(t, r.name(1), r.kv.Active())
			r.back(0)
			time.Sleep(time.Hour)
			require.Equal(t, r.name(1), r.kv.Active())
			require.NoError(t, r.kv.Failback(r.ctx))
			require.Equal(t, r.name(0), r.kv.Active())
		}
		last := r.last(resilient.KindSwitch, func(resilient.Event) bool { return true })
		require.Equal(t, "failback by the operator", last.Reason)
	})
}

func TestFailbackEndsAWaitThatIsNotOver(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: time.Hour, MaxAfter: time.Hour}), func(r *rig) {
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.kv.Active())
		ended, cancel := context.WithCancel(r.ctx)
		cancel()
		require.Equal(t, context.Canceled, r.kv.Failback(ended))
		require.Equal(t, r.name(1), r.kv.Active())
		require.NoError(t, r.kv.Failback(r.ctx))
		require.Equal(t, r.name(0), r.kv.Active())
	})
}

func TestANegativeAfterGoesBackAtOnce(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: -1}), func(r *rig) {
		for range 3 {
			r.away(0)
			r.back(0)
			require.Equal(t, r.name(0), r.kv.Active())
			require.Zero(t, r.held(0))
		}
	})
}

func TestOneGoodCheckIsNotEnoughToGoBack(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: -1}), func(r *rig) {
		r.away(0)
		for range 20 {
			good := r.goodChecks(0)
			r.faults[0].Up()
			for r.goodChecks(0) == good {
				time.Sleep(time.Millisecond)
			}
			r.faults[0].Down()
			time.Sleep(time.Second)
			require.Equal(t, good+1, r.goodChecks(0), "one good check among bad ones")
		}
		require.Equal(t, r.name(1), r.kv.Active())
		require.Equal(t, 1, r.events.Count(resilient.KindSwitch))
		r.back(0)
		require.Equal(t, r.name(0), r.kv.Active(), "two in a row are")
	})
}

// goodChecks counts those of member i.
func (r *rig) goodChecks(i int) (n int) {
	for _, e := range r.events.Of(resilient.KindProbe) {
		if e.Store == r.name(i) && e.Err == nil {
			n++
		}
	}
	return n
}
