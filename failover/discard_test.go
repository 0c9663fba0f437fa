package failover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// discards gives up what member i is owed, and wants that many writes lost.
func (r *rig) discards(i, want int) {
	r.t.Helper()
	lost, err := r.kv.Discard(r.name(i))
	require.NoError(r.t, err)
	require.Equal(r.t, want, lost)
}

func TestDiscardGivesUpWhatAMemberIsOwedAndTellsOneLostEvent(t *testing.T) {
	inDiskRig(t, 3, unbreakable, func(r *rig, d *disk, _ *writeLog) {
		r.set("gone", "1")
		r.faults[0].FailWrites(nil)
		r.faults[2].FailWrites(nil)
		r.set("a", "1")
		r.set("b", "1")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		r.discards(0, 3)
		require.Equal(t, []string{"mem 3"}, r.lost())
		lost := r.last(resilient.KindLost, func(resilient.Event) bool { return true })
		require.Equal(t, "discarded by the operator", lost.Reason)
		require.Equal(t, "failover", lost.Group)
		require.Equal(t, map[string]int{r.name(2): 3}, r.kv.Owed(), "the others keep what they are owed")
		require.Equal(t, "a=1 owed:mem-3", d.record("a"))
		require.Equal(t, "gone deleted owed:mem-3", d.record("gone"))
		r.reads("a", "1")
		r.discards(0, 0)
		require.Equal(t, []string{"mem 3"}, r.lost(), "of nothing there is nothing to tell")
		r.discards(2, 3)
		require.Empty(t, r.kv.Owed())
		require.Empty(t, d.record("a")+d.record("b")+d.record("gone"))
		st := r.kv.Status()
		require.Zero(t, st.Owed)
		require.Zero(t, st.OwedBytes)
		r.faults[0].Up()
		r.faults[2].Up()
		require.NoError(t, r.kv.Flush(r.ctx))
		r.lacks(0, "a")
		r.holds(0, "gone", "1")
		r.set("a", "2") // as if nothing had been
		r.holds(0, "a", "2")
	})
}

func TestAfterDiscardTheMembersMissesAreNoAnswers(t *testing.T) {
	inDiskRig(t, 2, unbreakable, func(r *rig, d *disk, _ *writeLog) {
		r.faults[1].FailWrites(nil)
		r.set("k", "v")
		r.faults[0].FailReads(nil)
		r.gone("none") // Complete
		r.discards(1, 1)
		r.faults[1].Up()
		require.Equal(t, []string{"incomplete: mem-2"}, d.noted())
		r.unsure("none")
		r.unsure("k")
		_, err := r.kv.List(r.ctx, "")
		require.ErrorIs(t, err, failover.ErrUncertain)
		_, err = r.kv.BatchGetRaw(r.ctx, []string{"k"})
		require.ErrorIs(t, err, failover.ErrUncertain)
		r.faults[0].Up()
		r.reads("k", "v")
		r.gone("none")
	})
}

func TestDiscardForTheFirstMemberOfAMirrorMakesItsMissesNoAnswersEither(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.set("k", "v")
		r.discards(0, 1)
		r.faults[0].Up()
		require.Equal(t, r.name(1), r.servedBy("k"), "the first does not know it, the second does")
		r.faults[1].FailReads(nil)
		r.unsure("k")
	})
}

func TestADiscardIsNotUndoneByARestart(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[1].FailWrites(nil)
		v.set("k", "v")
		v.discards(1, 1)
		v.end()
		v.faults[1].Up()
		v.begin(mirror, 0, 1)
		require.Empty(t, v.kv.Owed())
		v.lacks(1, "k")
		v.faults[0].Down()
		v.unsure("k")
	})
}

func TestAMemberThatIsOwedNothingAfterDiscardMayBeLeftOut(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[1].FailWrites(nil)
		v.set("k", "v")
		v.discards(1, 1)
		v.end()
		v.begin(mirror, 0, 2)
		v.reads("k", "v")
	})
}

func TestInHandoffDiscardForTheFirstMemberGivesUpTheWritesAndRemovesTheCopies(t *testing.T) {
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, _ *writeLog) {
		r.set("k", "old")
		r.faults[0].FailWrites(nil)
		r.set("k", "new")
		r.set("fresh", "new")
		r.discards(0, 2)
		require.Equal(t, []string{"mem 2"}, r.lost())
		require.Empty(t, r.kv.Owed())
		require.Empty(t, d.noted(), "the first still holds everything there is")
		r.reads("k", "old")
		r.gone("fresh")
		r.settled()
		r.lacks(1, "k")
		r.lacks(1, "fresh")
		r.until("no record is left", func() bool { return d.record("k")+d.record("fresh") == "" })
	})
}

func TestDiscardOfARemovalLosesNoWrite(t *testing.T) {
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, _ *writeLog) {
		r.withRemoval("k", "1")
		r.discards(1, 0)
		require.Empty(t, d.record("k"))
		require.NoError(t, r.kv.Flush(r.ctx))
		r.holds(1, "k", "1")
		r.reads("k", "1")
	})
}

func TestDiscardGivesTheJournalsPlaceBack(t *testing.T) {
	j := failover.MemoryJournal(2)
	inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Journal = j }), func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.set("a", "1")
		r.set("b", "1")
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "c", nil), failover.ErrJournalFull)
		r.discards(0, 2)
		wantSize(t, j, 0, 0)
		r.set("c", "1")
		r.set("d", "1")
	})
}

func TestADiscardThatTheJournalDoesNotNoteGivesNothingUp(t *testing.T) {
	torn := errors.New("torn")
	inDiskRig(t, 2, unbreakable, func(r *rig, d *disk, _ *writeLog) {
		r.faults[1].FailWrites(nil)
		r.set("a-key", "a-value")
		d.fails(failing("note", torn, false))
		lost, err := r.kv.Discard(r.name(1))
		require.ErrorIs(t, err, torn)
		require.NotContains(t, err.Error(), "a-key")
		require.Zero(t, lost)
		require.Empty(t, r.lost())
		require.Equal(t, map[string]int{r.name(1): 1}, r.kv.Owed())
		r.faults[0].FailReads(nil)
		r.gone("none") // it is trusted as before
	})
}

func TestADiscardThatTheJournalCutsShortSaysHowMuchWasGivenUp(t *testing.T) {
	torn := errors.New("torn")
	inDiskRig(t, 2, unbreakable, func(r *rig, d *disk, _ *writeLog) {
		r.faults[1].FailWrites(nil)
		for _, key := range []string{"a-key", "b-key", "c-key"} {
			r.set(key, "a-value")
		}
		d.fails(failing("put b-key", torn, false))
		lost, err := r.kv.Discard(r.name(1))
		require.ErrorIs(t, err, torn)
		require.NotContains(t, err.Error(), "-key")
		require.NotContains(t, err.Error(), "-value")
		require.Equal(t, 1, lost)
		require.Equal(t, []string{"mem-2 1"}, r.lost())
		require.Equal(t, map[string]int{r.name(1): 2}, r.kv.Owed())
		d.fails(nil)
		r.discards(1, 2)
	})
}

func TestDiscardKnowsOnlyMembersAndEndsWithTheGroup(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		_, err := r.kv.Discard("nobody")
		require.ErrorContains(t, err, `"nobody"`)
		require.NoError(t, r.kv.Close())
		_, err = r.kv.Discard(r.name(0))
		require.ErrorIs(t, err, resilient.ErrClosed)
	})
}

func TestAValueThatAMemberNeverTakesIsGivenUpByDiscardOnly(t *testing.T) {
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 1 {
			return oneFreak(kv)
		}
		return kv
	}, func(r *rig) {
		r.set("freak", "v")
		require.ErrorContains(t, r.kv.Flush(r.ctx), "Discard")
		r.discards(1, 1)
		require.NoError(t, r.kv.Flush(r.ctx))
		r.reads("freak", "v")
	})
}

func TestRegression_ADiscardedWriteThatLandsLateUndoesANewerOne(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror": mirror} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(mode, unbreakable), func(r *rig) {
				r.set("k", "0")
				r.faults[0].ApplyLate(true)
				r.faults[0].LateBy(time.Second)
				r.faults[0].Hang()
				r.faults[0].LieHealthy()
				r.set("k", "1") // owed to the first, and still on its way
				_, err := r.kv.Discard(r.name(0))
				require.NoError(t, err)
				r.faults[0].Up()
				time.Sleep(100 * time.Millisecond)
				r.set("k", "2")
				r.reads("k", "2")
				time.Sleep(time.Minute) // "1" lands
				r.reads("k", "2")
				r.holds(0, "k", "2")
			})
		})
	}
}

// inRunning is a mirror whose first member takes the value "1" no sooner than
// release is called, and says nothing until then.
func inRunning(t *testing.T, test func(r *rig, release func())) {
	var held chan struct{}
	inRigOf(t, 2, both(mirror, unbreakable), func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		held = make(chan struct{})
		return resilient.Detach(&hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			if string(value) == "1" {
				<-held
			}
			return kv.SetRaw(context.WithoutCancel(ctx), key, value)
		}}, 0)
	}, func(r *rig) { test(r, func() { close(held) }) })
}

func TestRegression_ADiscardedWriteThatIsStillRunningUndoesANewerOne(t *testing.T) {
	inRunning(t, func(r *rig, release func()) {
		r.set("k", "1")
		r.discards(0, 1)
		time.Sleep(time.Minute)
		r.set("k", "2")
		time.Sleep(time.Minute)
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed(), "\"1\" is still running there")
		release()
		r.converges(map[string]string{"k": "2"})
	})
}

func TestACallOfWhichEveryVersionWasDiscardedIsWaitedForOnce(t *testing.T) {
	inRunning(t, func(r *rig, release func()) {
		r.set("k", "1")
		require.NoError(t, r.kv.Drain(r.name(1))) // owed too: the key keeps its entry
		r.set("k", "2")
		r.discards(0, 1)
		r.set("k", "3")
		r.discards(0, 1)
		r.set("k", "4")
		release()
		require.NoError(t, r.kv.Release(r.name(1)))
		r.converges(map[string]string{"k": "4"})
	})
}
