package failover_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestACopyIsRemovedOnlyOnceTheFirstMemberOwesNothing(t *testing.T) {
	inDiskRig(t, 2, handoff, func(r *rig, _ *disk, l *writeLog) {
		r.away(0)
		r.set("k", "v")
		time.Sleep(time.Hour)
		r.holds(1, "k", "v")
		require.Negative(t, place(l, "mem-2 delete k"))
		r.back(0)
		r.settled()
		r.lacks(1, "k")
	})
}

func TestARemovalSurvivesNewerWrites(t *testing.T) {
	for name, write := range map[string]func(r *rig){
		"a set":    func(r *rig) { r.set("k", "2") },
		"a delete": func(r *rig) { require.NoError(r.t, r.kv.Delete(r.ctx, "k")) },
		"a refused one": func(r *rig) {
			r.faults[0].FailWrites(nil)
			require.ErrorIs(r.t, r.kv.SetRaw(r.ctx, "k", []byte("2")), resilient.ErrRefused)
			r.faults[0].Up()
		},
		"a batch": func(r *rig) { require.NoError(r.t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": nil, "other": nil})) },
	} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, _ *writeLog) {
				r.withRemoval("k", "1")
				write(r)
				require.Equal(t, "k remove:mem-2", d.record("k"))
				require.ErrorContains(t, r.kv.Flush(r.ctx), "mem-2:0 (removals:1)")
				want, err := r.stores[0].GetRaw(r.ctx, "k")
				r.faults[1].Up()
				r.settled()
				r.lacks(1, "k")
				got, after := r.stores[0].GetRaw(r.ctx, "k")
				require.Equal(t, err, after)
				require.Equal(t, want, got, "the first keeps what it has")
				r.until("no record is left", func() bool { return d.record("k") == "" })
			})
		})
	}
}

func TestARemovalIsNoVersionAndNeverAnswersARead(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.withRemoval("k", "1")
		require.Equal(t, r.name(0), r.servedBy("k"))
		keys, err := r.kv.List(r.ctx, "")
		require.NoError(t, err)
		require.Equal(t, []string{"k"}, keys, "it is no tombstone")
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"k", "none"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"k": []byte("1")}, values)
		require.NoError(t, r.kv.Delete(r.ctx, "k"))
		_, err = r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrNotFound, "the first knows")
		require.NotErrorIs(t, err, failover.ErrUncertain)
	})
}

func TestWhileARemovalIsOwedTheStandInsAnswerIsUncertain(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.withRemoval("k", "1")
		r.set("k", "2")
		r.faults[0].FailReads(nil)
		asked := r.faults[1].Count(resilient.OpGet) + r.faults[1].Count(resilient.OpBatchGet)
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, failover.ErrUncertain)
		require.NotErrorIs(t, err, resilient.ErrNotFound)
		_, err = r.kv.BatchGetRaw(r.ctx, []string{"other", "k"})
		require.ErrorIs(t, err, failover.ErrUncertain)
		require.Equal(t, asked, r.faults[1].Count(resilient.OpGet)+r.faults[1].Count(resilient.OpBatchGet),
			"it is not even asked: it would say 1")

		r.faults[0].Up()
		r.faults[0].FailReads(nil)
		r.faults[1].Up()
		r.until("the copy is gone", func() bool { _, err := r.stores[1].GetRaw(r.ctx, "k"); return err != nil })
		_, err = r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, failover.ErrUncertain, "now because of the miss")
		r.faults[0].Up()
		r.reads("k", "2")
	})
}

func TestANewWriteOfTheStandInAnswersReadsThoughARemovalIsOwedThere(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.withRemoval("k", "1")
		r.faults[1].Up()
		r.faults[0].Down()
		r.set("k", "2")
		r.reads("k", "2")
		r.faults[0].Up()
		r.settled()
		r.holds(0, "k", "2")
		r.lacks(1, "k")
	})
}

func TestAnAmbiguousCallToAStandInOwesARemovalThereAndARefusedOneDoesNot(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(r *rig)
		record  string
		removed bool
	}{
		"its answer is lost": {func(r *rig) { r.faults[1].AckLost(1) }, "k=v owed:mem remove:mem-2,mem-3 intent", true},
		"it refuses":         {func(r *rig) { r.faults[1].FailWrites(nil) }, "k=v owed:mem remove:mem-3 intent", false},
		"it hangs":           {func(r *rig) { r.faults[1].Hang() }, "k=v owed:mem remove:mem-2,mem-3 intent", true},
		"it fails":           {func(r *rig) { r.faults[1].FailWrites(errors.New("torn")) }, "k=v owed:mem remove:mem-2,mem-3 intent", true},
	} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 3, both(handoff, unbreakable), func(r *rig, d *disk, l *writeLog) {
				r.faults[0].FailWrites(nil)
				c.trouble(r)
				r.set("k", "v")
				require.Equal(t, c.record, d.record("k"))
				r.faults[0].Up()
				r.faults[1].Up()
				r.settled()
				r.lacks(1, "k")
				r.lacks(2, "k")
				r.holds(0, "k", "v")
				require.Equal(t, c.removed, place(l, "mem-2 delete k") >= 0, "%v", l.all())
			})
		})
	}
}

func TestNoCopyIsRemovedWhileAnEarlierCallCanStillApply(t *testing.T) {
	inRig(t, 3, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.faults[1].ApplyLate(true)
		r.faults[1].LateBy(time.Second) // after the removal, if that did not wait
		r.faults[1].Hang()
		r.set("k", "v")
		r.holds(2, "k", "v")
		r.faults[0].Up()
		r.rest()
		r.faults[1].Up()
		r.settled()
		time.Sleep(time.Minute)
		r.lacks(1, "k")
		r.lacks(2, "k")
		r.holds(0, "k", "v")
	})
}

// The first member is away again while the copy of the last outage is being
// removed: the removal must not take the new write with it.
func TestACopyIsRemovedUnderTheKeysLock(t *testing.T) {
	crossRemovals(t, 10*time.Millisecond) // a writer waits for as long as that
}

// crossRemovals takes the first member away again and again while the copy of
// the last outage is being removed from the stand-in, which takes that long.
func crossRemovals(t *testing.T, slow time.Duration) {
	var removing atomic.Bool
	inRigOf(t, 2, both(handoff, unbreakable), func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, del: func(ctx context.Context, key string) error {
			removing.Store(true)
			defer removing.Store(false)
			defer time.Sleep(slow / 2) // the answer takes its time too
			time.Sleep(slow / 2)
			return kv.Delete(ctx, key)
		}}
	}, func(r *rig) {
		for n, value := range []string{"1", "2", "3", "4"} {
			r.faults[0].FailWrites(nil)
			r.set("k", value)
			r.faults[0].Up()
			for !removing.Load() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(slow * time.Duration(n) / 4) // before the copy goes, and after that
			r.faults[0].FailWrites(nil)
			r.set("k", value+" again")
			r.reads("k", value+" again")
			time.Sleep(time.Second)
			r.reads("k", value+" again")
			require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
			r.faults[0].Up()
			r.settled()
			r.holds(0, "k", value+" again")
			r.lacks(1, "k")
		}
	})
}

func TestARemovalThatTheMemberCallsAMissIsDone(t *testing.T) {
	inRigOf(t, 2, both(handoff, unbreakable), func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &hooked{KVWithHealth: kv, del: func(ctx context.Context, key string) error {
			if _, err := kv.GetRaw(ctx, key); err != nil {
				return err
			}
			return kv.Delete(ctx, key)
		}}
	}, func(r *rig) {
		r.faults[0].FailWrites(nil)
		require.NoError(t, r.kv.Delete(r.ctx, "never"))
		r.faults[0].Up()
		r.settled()
	})
}

func TestFlushWaitsForRemovalsTooAndSaysHowManyThereAre(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.withRemoval("a-key", "1")
		err := r.kv.Flush(r.ctx)
		require.ErrorContains(t, err, "mem-2:0 (removals:1)")
		require.NotContains(t, err.Error(), "a-key")
		require.Empty(t, r.kv.Owed())
		r.faults[1].Up()
		require.NoError(t, r.kv.Flush(r.ctx))
		r.lacks(1, "a-key")
	})
}

func TestCloseRemovesCopiesFirstAndSaysWhatIsLeft(t *testing.T) {
	inRigOf(t, 2, both(handoff, unbreakable), keptOpen, func(r *rig) {
		r.withRemoval("k", "v")
		r.faults[1].Up()
		require.NoError(t, r.kv.Close())
		r.lacks(1, "k")
		require.Empty(t, r.lost())
	})
	inRigOf(t, 2, both(handoff, unbreakable), keptOpen, func(r *rig) {
		r.withRemoval("a-key", "v")
		err := r.kv.Close()
		require.ErrorIs(t, err, failover.ErrOwed)
		require.ErrorContains(t, err, "mem-2:0 (removals:1)")
		require.NotContains(t, err.Error(), "a-key")
		require.Equal(t, []string{"mem-2 0"}, r.lost(), "no write is lost")
	})
	inRigOf(t, 2, both(handoff, unbreakable), keptOpen, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.set("k", "v")
		require.ErrorIs(t, r.kv.Close(), failover.ErrOwed)
		require.Equal(t, []string{"mem 1", "mem-2 0"}, r.lost())
		r.holds(1, "k", "v")
	})
}

func TestCloseWithADurableJournalKeepsTheRemovals(t *testing.T) {
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, _ *writeLog) {
		r.withRemoval("k", "v")
		require.Zero(t, took(func() { require.NoError(t, r.kv.Close()) }))
		require.Equal(t, "k=v owed:mem remove:mem-2 intent", d.record("k"))
		require.True(t, d.clean())
		require.Empty(t, r.lost())
	})
}

func TestRegression_ACopyAtASlowStandInIsRemovedForEver(t *testing.T) {
	crossRemovals(t, 30*time.Millisecond) // longer than the key's lock is held
}

func TestRegression_WhatASlowMemberIsOwedAfterALostAnswerIsHandedBackForEver(t *testing.T) {
	l := &writeLog{}
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return l.logged(kv, 30*time.Millisecond) // longer than the key's lock is held
		}
		return kv
	}, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "1")
		r.set("k", "2") // while the first call can still apply
		l.forget()
		time.Sleep(time.Minute)
		require.Empty(t, r.kv.Owed(), "%d hand-backs later", len(l.all()))
		require.LessOrEqual(t, len(l.all()), 2)
		r.holds(0, "k", "2")
	})
}

// Nobody flushes and nothing else happens: whoever ends the first member's debt
// has to say that the copy can go.
func TestRegression_ACopyStaysWhenTheFirstMembersDebtEndsWithoutAHandBack(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"a discard": func(r *rig) { r.discards(0, 1) },
		"a newer write that the first member takes": func(r *rig) {
			r.faults[0].Up()
			r.set("k", "2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
				r.faults[0].FailWrites(nil)
				r.set("k", "1")
				r.holds(1, "k", "1")
				end(r)
				require.Empty(t, r.kv.Owed())
				time.Sleep(time.Minute)
				r.lacks(1, "k")
			})
		})
	}
}
