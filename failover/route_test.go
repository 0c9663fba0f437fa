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

// failback returns a change to Failback.
func failback(fb failover.Failback) func(*failover.Config) {
	return func(cfg *failover.Config) { cfg.Failback = fb }
}

// both makes two changes one.
func both(a, b func(*failover.Config)) func(*failover.Config) {
	return func(cfg *failover.Config) { a(cfg); b(cfg) }
}

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

// observerFunc is an Observer.
type observerFunc func(context.Context, resilient.Event)

func (f observerFunc) Observe(ctx context.Context, e resilient.Event) { f(ctx, e) }

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

func TestTheDeadlineIsSharedByTheCandidatesLeft(t *testing.T) {
	for _, c := range []struct {
		members, hung  int
		deadline, want time.Duration
	}{
		{2, 1, 400 * time.Millisecond, 200 * time.Millisecond},
		{3, 1, 900 * time.Millisecond, 300 * time.Millisecond},
		{3, 2, 900 * time.Millisecond, 600 * time.Millisecond}, // 300, then half of 600
		{3, 2, 120 * time.Millisecond, 85 * time.Millisecond},  // 50 at least, then half of 70
		{3, 2, 150 * time.Millisecond, 100 * time.Millisecond}, // 50 and 50
		{3, 2, 90 * time.Millisecond, 60 * time.Millisecond},   // 50 would not fit: 30 each
		{2, 1, 90 * time.Millisecond, 45 * time.Millisecond},
		{2, 1, 10 * time.Second, timeout}, // the member's own Timeout is less
		{3, 2, 10 * time.Second, 2 * timeout},
		{3, 2, 2500 * time.Millisecond, 2500 * time.Millisecond * 2 / 3},
	} {
		t.Run(fmt.Sprintf("%d of %d hang, %v", c.hung, c.members, c.deadline), func(t *testing.T) {
			for name, call := range map[string]func(r *rig, ctx context.Context) error{
				"get":   func(r *rig, ctx context.Context) error { _, err := r.kv.GetRaw(ctx, "k"); return err },
				"list":  func(r *rig, ctx context.Context) error { _, err := r.kv.List(ctx, ""); return err },
				"batch": func(r *rig, ctx context.Context) error { _, err := r.kv.BatchGetRaw(ctx, []string{"k"}); return err },
			} {
				t.Run(name, func(t *testing.T) {
					inRig(t, c.members, func(cfg *failover.Config) {
						unbreakable(cfg)
						cfg.Member.LongTimeout = timeout
					}, func(r *rig) {
						r.set("k", "v")
						for i := range c.hung {
							r.faults[i].Hang()
						}
						ctx, cancel := context.WithTimeout(r.ctx, c.deadline)
						defer cancel()
						require.Equal(t, c.want, took(func() { require.NoError(t, call(r, ctx)) }))
						require.Zero(t, took(func() { r.reads("k", "v") }), "who used up his share is suspect")
					})
				})
			}
		})
	}
}

func TestTheLastCandidateGetsAllThatIsLeft(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		r.faults[1].Hang()
		r.faults[2].Latency(290 * time.Millisecond)
		ctx, cancel := context.WithTimeout(r.ctx, 900*time.Millisecond)
		defer cancel()
		require.Equal(t, 890*time.Millisecond, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.NoError(t, err)
		}))
	})
}

func TestWhenEveryMemberHangsACallEndsAtItsDeadline(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		for _, f := range r.faults {
			f.Hang()
		}
		ctx, cancel := context.WithTimeout(r.ctx, 900*time.Millisecond)
		defer cancel()
		require.Equal(t, 900*time.Millisecond, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}))
	})
}

func TestAWriteWaitsForAHungMemberOnlyForItsShare(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 400*time.Millisecond)
		defer cancel()
		require.Equal(t, 200*time.Millisecond, took(func() {
			require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v")))
		}))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		require.Zero(t, took(func() { r.set("k", "w") }), "it is suspect now")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "w")
	})
}

func TestWithoutTimeoutsADeadlineIsSharedAllTheSame(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		unbreakable(cfg)
		cfg.Member.Timeout = -1
	}, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		require.Equal(t, 30*time.Second, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.NoError(t, err)
		}))
	})
}
