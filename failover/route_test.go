package failover_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCallsTryTheMembersInTheOrderTheyWereGiven(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.set("k", "v")
		require.Equal(t, r.name(0), r.servedBy("k"))
		r.faults[0].Down()
		require.Equal(t, r.name(1), r.servedBy("k"))
		r.faults[1].Down()
		require.Equal(t, r.name(2), r.servedBy("k"))
		require.Equal(t, []int{3, 2, 1}, []int{
			r.faults[0].Count(resilient.OpGet), r.faults[1].Count(resilient.OpGet), r.faults[2].Count(resilient.OpGet),
		}, "each call went from one to the next")
		r.faults[0].Up()
		require.Equal(t, r.name(0), r.servedBy("k"))
	})
}

func TestAMemberWhoseBreakerIsOpenIsNotAsked(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.away(0)
		before := r.faults[0].Calls()
		require.Equal(t, r.name(1), r.servedBy("k"))
		r.set("k", "w")
		require.Equal(t, before, r.faults[0].Calls())
	})
}

func TestAHeldBackMemberIsLessWantedAndNotExcluded(t *testing.T) {
	inRig(t, 3, failback(failover.Failback{After: time.Hour, MaxAfter: time.Hour}), func(r *rig) {
		r.set("k", "v")
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.servedBy("k"), "back, and held")
		r.faults[1].Down()
		require.Equal(t, r.name(2), r.servedBy("k"), "after all the others")
		r.faults[2].Down()
		require.Equal(t, r.name(0), r.servedBy("k"), "before nobody")
		r.set("k", "w")
		r.holds(0, "k", "w")
	})
}

func TestAHeldBackMemberGetsEveryWrite(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: time.Hour, MaxAfter: time.Hour}), func(r *rig) {
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.kv.Active())
		r.set("k", "v")
		r.holds(0, "k", "v")
		require.Empty(t, r.kv.Owed())
	})
}

func TestOneHungMemberCostsOneTimeoutToAllCallsInFlight(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		d := took(func() {
			var calls sync.WaitGroup
			for range 20 {
				calls.Go(func() { r.reads("k", "v") })
			}
			calls.Wait()
		})
		require.Equal(t, timeout, d)
		for range 20 {
			require.Zero(t, took(func() { r.reads("k", "v") }), "a call that begins later")
		}
		require.Equal(t, 20, r.faults[0].Count(resilient.OpGet), "it was not asked again")
		require.Equal(t, "closed", r.state(0), "its breaker has not opened")
	})
}

func TestAWriteThatGetsItsKeysLockAfterATimeoutTriesTheHungMemberLast(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Hang()
		d := took(func() {
			var writes sync.WaitGroup
			for i := range 5 {
				writes.Go(func() { r.set("k", fmt.Sprint(i)) })
			}
			writes.Wait()
		})
		require.LessOrEqual(t, d, timeout+50*time.Millisecond, "five writes of one key, one after the other")
		require.Equal(t, 1, r.faults[0].Count(resilient.OpSet))
	})
}

func TestAllCallsButTheFirstLeaveAHungMemberAloneWhateverTheyAre(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		r.reads("k", "v")
		before := r.faults[0].Calls()
		require.Zero(t, took(func() {
			_, err := r.kv.List(r.ctx, "")
			require.NoError(t, err)
			_, err = r.kv.BatchGetRaw(r.ctx, []string{"k"})
			require.NoError(t, err)
			require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": nil}))
			require.NoError(t, r.kv.Delete(r.ctx, "k"))
		}))
		require.Equal(t, before, r.faults[0].Calls())
	})
}

// A check that began before the call timed out says nothing about what hung.
func TestOnlyACheckThatBeganAfterTheTimeoutClearsASuspect(t *testing.T) {
	const slow = 900 * time.Millisecond // each check takes that, and is good
	var stores [2]*resilient.Store
	hung := &hooked{}
	hung.health = func(ctx context.Context) error {
		select {
		case <-time.After(slow):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			hung.KVWithHealth = kv
			kv = hung
		}
		s, err := resilient.Wrap(kv, resilient.Config{
			Timeout: timeout, Probe: resilient.Probe{Interval: -1},
		})
		require.NoError(t, err)
		stores[i] = s
		return s
	}, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		began := time.Now()
		go func() {
			time.Sleep(timeout / 2)
			_ = stores[0].Health(r.ctx) // good, from 0.5 s to 1.4 s
		}()
		r.reads("k", "v") // until 1 s
		require.Equal(t, timeout, time.Since(began))
		time.Sleep(time.Until(began.Add(timeout/2 + slow + 10*time.Millisecond)))
		require.NoError(t, stores[0].Status().LastProbe.Err)
		require.False(t, stores[0].Status().LastProbe.Time.IsZero(), "the first check has ended, and was good")
		require.Equal(t, r.name(1), r.kv.Active(), "it began too early to count")
		r.activates(0)
		require.GreaterOrEqual(t, time.Since(began), timeout+slow, "no earlier than a check that began after the timeout")
		r.faults[0].Up()
	})
}

func TestASuspectMemberIsWantedAgainAtOnceWhenACheckIsGood(t *testing.T) {
	inRig(t, 2, both(unbreakable, failback(failover.Failback{After: time.Hour, MaxAfter: time.Hour})), func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		r.reads("k", "v")
		require.Equal(t, r.name(1), r.kv.Active())
		r.faults[0].Up()
		time.Sleep(time.Second)
		require.Equal(t, r.name(0), r.kv.Active(), "it was never away, so nothing holds it back")
	})
}
