package failover_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestEachSwitchIsToldWithItsReason(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: 3 * time.Second}), func(r *rig) {
		r.set("k", "v")
		r.away(0)
		r.back(0)
		r.activates(0)
		r.faults[0].Hang()
		r.reads("k", "v")
		r.faults[0].Up()
		r.activates(0)
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.NoError(t, r.kv.Drain(r.name(1)))
		require.NoError(t, r.kv.Release(r.name(1)))
		require.NoError(t, r.kv.Release(r.name(0)))
		r.away(0)
		r.back(0)
		require.NoError(t, r.kv.Failback(r.ctx))

		var told []string
		for _, e := range r.events.Of(resilient.KindSwitch) {
			require.Equal(t, "failover", e.Group)
			require.Equal(t, e.To, e.Store)
			require.Equal(t, e.To == r.name(1), e.Degraded)
			require.Equal(t, e.To == r.name(0) || e.From == "", e.Back)
			require.Equal(t, e.To == "", e.Nobody)
			told = append(told, fmt.Sprintf("%s to %s: %s", e.From, e.To, e.Reason))
		}
		require.Equal(t, []string{
			"mem to mem-2: 3 failed health checks in a row",
			"mem-2 to mem: back for long enough",
			"mem to mem-2: a call timed out",
			"mem-2 to mem: a health check is good",
			"mem to mem-2: drained by the operator",
			"mem-2 to : drained by the operator",
			" to mem-2: released by the operator",
			"mem-2 to mem: released by the operator",
			"mem to mem-2: 3 failed health checks in a row",
			"mem-2 to mem: failback by the operator",
		}, told)
	})
}

func TestASwitchToAMemberThatIsAwayTooSaysThatNobodyServes(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.away(0)
		r.away(1)
		r.back(1)
		var told []string
		for _, e := range r.events.Of(resilient.KindSwitch) {
			told = append(told, fmt.Sprintf("%s to %s: nobody %v, back %v", e.From, e.To, e.Nobody, e.Back))
		}
		require.Equal(t, []string{
			"mem to mem-2: nobody false, back false", "mem-2 to mem: nobody true, back false", "mem to mem-2: nobody false, back false",
		}, told)
	})
}

// Whoever changes the route, observers can follow it: each switch begins where
// the one before it ended.
func TestSwitchesAreToldInOrder(t *testing.T) {
	inRig(t, 3, failback(failover.Failback{After: -1}), func(r *rig) {
		r.set("k", "v")
		var work sync.WaitGroup
		for i := range 3 {
			work.Go(func() {
				for range 50 {
					_ = r.kv.Drain(r.name(i))
					time.Sleep(time.Duration(10+i) * time.Millisecond)
					_ = r.kv.Release(r.name(i))
					time.Sleep(time.Duration(13+i) * time.Millisecond)
				}
			})
			work.Go(func() {
				for range 5 {
					r.faults[i].Down()
					time.Sleep(time.Duration(300+i) * time.Millisecond)
					r.faults[i].Up()
					time.Sleep(time.Duration(400+i) * time.Millisecond)
				}
			})
		}
		work.Wait()
		synctest.Wait()
		switches := r.events.Of(resilient.KindSwitch)
		require.Greater(t, len(switches), 50)
		at := r.name(0)
		for n, e := range switches {
			require.Equal(t, at, e.From, "switch %d", n)
			require.NotEqual(t, e.From, e.To, "switch %d", n)
			require.NotEmpty(t, e.Reason)
			at = e.To
		}
		require.Equal(t, r.kv.Active(), at)
	})
}

// An observer that is slow to take one switch is not told the next beside it.
func TestSwitchesAreToldOneAtATime(t *testing.T) {
	var inside, most atomic.Int32
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Observer = resilient.Tee(cfg.Observer, observerFunc(func(_ context.Context, e resilient.Event) {
			if e.Kind != resilient.KindSwitch {
				return
			}
			most.Store(max(most.Load(), inside.Add(1)))
			time.Sleep(time.Second)
			inside.Add(-1)
		}))
	}, func(r *rig) {
		var operators sync.WaitGroup
		for range 5 {
			operators.Go(func() { _ = r.kv.Drain(r.name(0)) })
			time.Sleep(100 * time.Millisecond)
			operators.Go(func() { _ = r.kv.Release(r.name(0)) })
			time.Sleep(100 * time.Millisecond)
		}
		operators.Wait()
		require.Equal(t, 10, r.events.Count(resilient.KindSwitch))
		require.Equal(t, int32(1), most.Load())
	})
}

func TestADrainSticksUntilRelease(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		require.NoError(t, r.kv.Drain(r.name(0)))
		r.away(0)
		r.back(0)
		require.NoError(t, r.kv.Failback(r.ctx))
		time.Sleep(time.Hour)
		require.Equal(t, r.name(1), r.kv.Active())
		require.Equal(t, r.name(1), r.servedBy("k"))
		r.faults[1].Down()
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrUnavailable, "not even when nobody else is there")
		r.faults[1].Up()
		require.NoError(t, r.kv.Release(r.name(0)))
		require.Equal(t, r.name(0), r.servedBy("k"))
	})
}

func TestDrainAndReleaseTellOnlyOfWhatTheyChange(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Release(r.name(0)), "not drained")
		require.NoError(t, r.kv.Drain(r.name(1)), "not active")
		require.NoError(t, r.kv.Drain(r.name(1)), "twice")
		require.NoError(t, r.kv.Release(r.name(1)))
		require.Zero(t, r.events.Count(resilient.KindSwitch))
		require.EqualError(t, r.kv.Drain("mem-9"), `failover: no member is called "mem-9"`)
		require.EqualError(t, r.kv.Release("mem-9"), `failover: no member is called "mem-9"`)
	})
}

func TestWithAllMembersDrainedTheGroupRefusesAtOnce(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		r.set("owed", "1")
		require.NoError(t, r.kv.Drain(r.name(1)))
		require.Empty(t, r.kv.Active())
		calls := r.faults[0].Calls() + r.faults[1].Calls()
		require.Zero(t, took(func() {
			_, get := r.kv.GetRaw(r.ctx, "k")
			_, list := r.kv.List(r.ctx, "")
			_, batch := r.kv.BatchGetRaw(r.ctx, []string{"k", "owed"})
			for i, err := range []error{
				get, list, batch, r.kv.SetRaw(r.ctx, "k", nil), r.kv.Delete(r.ctx, "k"),
				r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": nil}), r.kv.BatchDelete(r.ctx, []string{"k"}),
				r.kv.Health(r.ctx),
			} {
				require.ErrorIs(t, err, resilient.ErrRefused, "call %d", i)
				require.NotErrorIs(t, err, resilient.ErrAmbiguous, "call %d", i)
			}
		}))
		require.Equal(t, calls, r.faults[0].Calls()+r.faults[1].Calls())
		r.reads("owed", "1")
		require.NoError(t, r.kv.Release(r.name(1)))
		r.set("k", "v")
		require.NoError(t, r.kv.Release(r.name(0)))
		r.rest()
		r.holds(0, "k", "v")
		r.holds(0, "owed", "1")
	})
}

func TestASwitchTellsHowManyKeysAreOwedThen(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[1].FailWrites(nil)
		r.set("a", "v")
		r.set("b", "v")
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.Equal(t, 2, r.last(resilient.KindSwitch, func(resilient.Event) bool { return true }).Count)
	})
}
