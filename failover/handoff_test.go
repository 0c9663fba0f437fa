package failover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// handoff is the mode in which the second member stands in for the first.
func handoff(cfg *failover.Config) { cfg.Writes, cfg.Complete = failover.Handoff, false }

// strict is MirrorStrict; its journal is set elsewhere.
func strict(cfg *failover.Config) { cfg.Writes = failover.MirrorStrict }

// mirror is the rig's own mode.
func mirror(*failover.Config) {}

// wants wants exactly these lines in the log; what the journal forgets in its
// own time does not count, nor does a line that repeats the one before.
func (l *writeLog) wants(t *testing.T, lines ...string) {
	t.Helper()
	all := slices.DeleteFunc(l.all(), func(line string) bool { return strings.HasPrefix(line, "forget ") })
	require.Equal(t, lines, slices.Compact(all))
}

// settled waits until nothing is owed, removals included.
func (r *rig) settled() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Minute)
	defer cancel()
	r.until("nothing is owed", func() bool { return r.kv.Flush(ctx) == nil || ctx.Err() != nil })
	require.NoError(r.t, ctx.Err(), "still owed after ten minutes")
}

func TestInHandoffTheFirstCandidateThatTakesAWriteHasIt(t *testing.T) {
	inRig(t, 3, both(handoff, unbreakable), func(r *rig) {
		for first := range 3 {
			var receipt resilient.Receipt
			key := r.name(first)
			require.NoError(t, r.kv.SetRaw(resilient.WithReceipt(r.ctx, &receipt), key, []byte("v")))
			owed := min(first, 1)
			require.Equal(t, resilient.Receipt{Store: r.name(first), Owed: owed, Degraded: first != 0}, receipt)
			for i := range 3 {
				if i == first {
					r.holds(i, key, "v")
				} else {
					r.lacks(i, key)
				}
			}
			r.faults[first].FailWrites(nil)
		}
		require.Equal(t, map[string]int{r.name(0): 2}, r.kv.Owed(), "the first, and nobody else, is owed what it has not got")
	})
}

func TestInHandoffADoneEventOfAStandInIsMarkedDegraded(t *testing.T) {
	inRig(t, 2, handoff, func(r *rig) {
		done := func() resilient.Event {
			return r.last(resilient.KindDone, func(e resilient.Event) bool { return e.Group != "" && e.Op == resilient.OpSet })
		}
		r.set("k", "1")
		require.False(t, done().Degraded)
		r.away(0)
		r.set("k", "2")
		require.True(t, done().Degraded)
		require.Equal(t, r.name(1), done().Store)
		require.Equal(t, 1, done().Count)
		owed := r.last(resilient.KindOwed, func(resilient.Event) bool { return true })
		require.Equal(t, r.name(0), owed.Store)
		require.Len(t, r.events.Of(resilient.KindOwed), 1)
	})
}

func TestInHandoffWhatTheStandInTookIsHandedBackAndThenRemovedThere(t *testing.T) {
	inDiskRig(t, 2, handoff, func(r *rig, d *disk, l *writeLog) {
		r.set("gone", "1")
		r.away(0)
		r.set("k", "v")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		r.holds(1, "k", "v")
		l.forget()
		r.back(0)
		r.settled()
		require.Subset(t, l.all(), []string{"mem set k v", "mem-2 delete k", "mem delete gone", "mem-2 delete gone"})
		require.Less(t, place(l, "mem set k v"), place(l, "mem-2 delete k"))
		require.Less(t, place(l, "mem delete gone"), place(l, "mem-2 delete gone"))
		r.holds(0, "k", "v")
		r.lacks(0, "gone")
		r.lacks(1, "k")
		r.until("the records are gone", func() bool { return d.record("k")+d.record("gone") == "" })
		r.activates(0)
		r.reads("k", "v")
	})
}

// place returns the place of line in the log, -1 if it is not there.
func place(l *writeLog, line string) int {
	for at, have := range l.all() {
		if have == line {
			return at
		}
	}
	return -1
}

func TestInHandoffTheIntentIsDurableBeforeAnythingIsSentToAnotherThanTheFirst(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(r *rig)
		want    []string
	}{
		"the first is away": {func(r *rig) { r.away(0) }, []string{
			"put k=v owed:mem remove:mem-2 intent", "mem-2 set k v",
		}},
		"the first refuses": {func(r *rig) { r.faults[0].FailWrites(nil) }, []string{
			"mem set k v", "put k=v owed:mem remove:mem-2 intent", "mem-2 set k v",
		}},
		"the second refuses too": {func(r *rig) { r.faults[0].FailWrites(nil); r.faults[1].FailWrites(nil) }, []string{
			"mem set k v", "put k=v owed:mem remove:mem-2 intent", "mem-2 set k v",
			"put k=v owed:mem remove:mem-3 intent", "mem-3 set k v",
		}},
		"the answer of the second is lost": {func(r *rig) { r.faults[0].FailWrites(nil); r.faults[1].AckLost(1) }, []string{
			"mem set k v", "put k=v owed:mem remove:mem-2 intent", "mem-2 set k v",
			"put k=v owed:mem remove:mem-2,mem-3 intent", "mem-3 set k v",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 3, handoff, func(r *rig, _ *disk, l *writeLog) {
				c.trouble(r)
				l.forget()
				r.set("k", "v")
				all := l.all()
				require.Equal(t, c.want, all[:min(len(c.want), len(all))]) // then it is handed back
			})
		})
	}
}

func TestInHandoffAnAmbiguousAnswerGoesOnToTheNextCandidate(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "v")
		r.holds(1, "k", "v")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed(), "what the first has is not known")
		r.reads("k", "v")
		d := took(r.settled)
		require.GreaterOrEqual(t, d, 2*timeout, "the earlier call may still apply")
		r.holds(0, "k", "v")
		r.lacks(1, "k")
	})
}

func TestInHandoffAWriteWithNeitherAnOKNorADurableJournalIsAmbiguousAndStaysOwed(t *testing.T) {
	for name, trouble := range map[string]func(r *rig){
		"all answers are lost":          func(r *rig) { r.faults[0].AckLost(1); r.faults[1].AckLost(1) },
		"only the first may have it":    func(r *rig) { r.faults[0].AckLost(1); r.faults[1].FailWrites(nil) },
		"only the stand-in may have it": func(r *rig) { r.faults[0].FailWrites(nil); r.faults[1].AckLost(1) },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
				r.set("k", "old")
				trouble(r)
				err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
				require.ErrorIs(t, err, resilient.ErrAmbiguous)
				require.NotErrorIs(t, err, resilient.ErrRefused)
				require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
				r.reads("k", "new")
				r.faults[0].Up()
				r.faults[1].Up()
				r.settled()
				r.holds(0, "k", "new")
				r.lacks(1, "k")
			})
		})
	}
}

func TestAWriteWithoutAnOKIsAcknowledgedIfADurableJournalHasIt(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror": mirror, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, both(mode, unbreakable), func(r *rig, d *disk, _ *writeLog) {
				r.set("k", "old")
				r.faults[0].AckLost(1)
				r.faults[1].AckLost(1)
				r.set("k", "new")
				require.Contains(t, d.record("k"), "k=new owed:mem")
				r.reads("k", "new")
				r.settled()
				r.holds(0, "k", "new")
			})
		})
	}
}

func TestInHandoffAWriteThatAllRefusedIsTakenBackDurablyAndChangesNothing(t *testing.T) {
	refuse := func(r *rig) { r.faults[0].FailWrites(nil); r.faults[1].FailWrites(nil) }
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, l *writeLog) {
		r.set("k", "old")
		refuse(r)
		l.forget()
		err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		l.wants(t, "mem set k new", "put k=new owed:mem remove:mem-2 intent", "mem-2 set k new", "put k")
		require.Empty(t, d.record("k"))
		require.Empty(t, r.kv.Owed())
		r.reads("k", "old")
		require.NoError(t, r.kv.Flush(r.ctx), "no removal is left")

		r.faults[1].Up()
		r.set("k", "owed")
		before := d.record("k")
		refuse(r)
		require.ErrorIs(t, r.kv.Delete(r.ctx, "k"), resilient.ErrRefused)
		require.Equal(t, "k=owed owed:mem remove:mem-2", d.record("k"))
		require.Equal(t, before, d.record("k")+" intent", "the version is the one before")
		r.reads("k", "owed")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.faults[0].Up()
		r.faults[1].Up()
		r.settled()
		r.holds(0, "k", "owed")
		r.lacks(1, "k")
	})
}

func TestARefusedWriteThatCannotBeTakenBackDurablyIsAmbiguous(t *testing.T) {
	torn := errors.New("torn")
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, both(mode, unbreakable), func(r *rig, d *disk, _ *writeLog) {
				r.set("k", "old")
				r.faults[0].FailWrites(nil)
				r.faults[1].FailWrites(nil)
				d.fails(func(line string) diskFailed {
					if line == "put k" {
						return diskFailed{err: torn}
					}
					return diskFailed{}
				})
				err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
				require.ErrorIs(t, err, torn)
				require.NotErrorIs(t, err, resilient.ErrRefused)
				r.reads("k", "old")
				d.fails(nil)
				r.faults[0].Up()
				r.faults[1].Up()
				time.Sleep(10 * time.Second)
				require.Empty(t, d.record("k"), "the record goes as soon as the journal works")
				r.reads("k", "old")
			})
		})
	}
}

// A restart would hand the older version in the record back over the new one.
func TestTheRecordOfAKeyWithAVersionGetsTheIntentBeforeAnythingIsSentInEveryMode(t *testing.T) {
	for name, c := range map[string]struct {
		mode func(*failover.Config)
		want []string
	}{
		"handoff":       {handoff, []string{"put k=2 owed:mem remove:mem-2 intent", "mem-2 set k 2"}},
		"mirror":        {mirror, []string{"put k=2 owed:mem,mem-2 intent", "mem-2 set k 2", "put k=2 owed:mem"}},
		"mirror-strict": {strict, []string{"put k=2 owed:mem,mem-2 intent", "mem-2 set k 2", "put k=2 owed:mem"}},
	} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, c.mode, func(r *rig, d *disk, l *writeLog) {
				require.NoError(t, r.kv.Drain(r.name(0)))
				r.set("k", "1")
				require.Contains(t, d.record("k"), "k=1 owed:mem")
				l.forget()
				r.set("k", "2")
				l.wants(t, c.want...)
			})
		})
	}
}

func TestInHandoffAKeyWhoseRecordHasOnlyARemovalGetsTheIntentFirstToo(t *testing.T) {
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, l *writeLog) {
		r.withRemoval("k", "1")
		require.Equal(t, "k=1 owed:mem remove:mem-2 intent", d.record("k"), "as it was put last")
		l.forget()
		r.set("k", "2")
		require.Equal(t, "put k=2 owed:mem remove:mem-2 intent", l.all()[0])
		require.Equal(t, "k remove:mem-2", d.record("k"))
		r.set("k", "3")
		require.Equal(t, "k remove:mem-2", d.record("k"))
		require.GreaterOrEqual(t, place(l, "put k=3 owed:mem remove:mem-2 intent"), 0)
		require.Less(t, place(l, "put k=3 owed:mem remove:mem-2 intent"), place(l, "mem set k 3"))
	})
}

// withRemoval makes the stand-in hold an old copy of key, which it will not
// delete; nobody is owed the version. The members are unbreakable.
func (r *rig) withRemoval(key, value string) {
	r.t.Helper()
	r.faults[0].FailWrites(nil)
	r.set(key, value)
	r.faults[1].FailWrites(nil)
	r.faults[0].Up()
	r.rest()
	r.holds(0, key, value)
	r.holds(1, key, value)
}

func TestAJournalThatRefusesBeforeAnythingIsSentRefusesTheWrite(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, mode, func(r *rig, d *disk, l *writeLog) {
				r.away(0)
				r.set("k", "old")
				before := d.record("k")
				d.fails(failing("put", &simError{"no room", resilient.ErrRefused}, false))
				l.forget()
				for _, key := range []string{"k", "fresh"} {
					err := r.kv.SetRaw(r.ctx, key, []byte("new"))
					require.ErrorIs(t, err, resilient.ErrRefused, key)
					require.NotErrorIs(t, err, resilient.ErrAmbiguous, key)
					require.ErrorContains(t, err, "no room", key)
					require.NotContains(t, err.Error(), "fresh")
				}
				for _, line := range l.all() {
					require.NotContains(t, line, "set", "nothing is sent")
				}
				require.Equal(t, before, d.record("k"))
				r.reads("k", "old")
				require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
			})
		})
	}
}

func TestAHealthyHandoffAndMirrorTakeWritesThoughTheJournalRefuses(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror": mirror} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, mode, func(r *rig, d *disk, _ *writeLog) {
				d.fails(failing("put", &simError{"no room", resilient.ErrRefused}, false))
				r.set("k", "v")
				r.reads("k", "v")
				r.holds(0, "k", "v")
			})
		})
	}
}

// Whether the record is there is not known, so it is put right before the
// caller is told that nothing was applied.
func TestAJournalThatFailsBeforeAnythingIsSentIsPutRightOrTheWriteIsAmbiguous(t *testing.T) {
	torn := errors.New("torn")
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror-strict": strict} {
		for what, c := range map[string]struct {
			prefix string
			want   error
		}{
			"the intent only":                   {"put k=new", resilient.ErrRefused},
			"the intent and what takes it back": {"put k", resilient.ErrAmbiguous},
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				inDiskRig(t, 2, mode, func(r *rig, d *disk, l *writeLog) {
					r.set("k", "old")
					r.until("its record is gone", func() bool { return d.record("k") == "" })
					r.away(0)
					d.fails(failing(c.prefix, torn, true))
					l.forget()
					err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
					require.ErrorIs(t, err, torn)
					require.ErrorIs(t, err, c.want)
					if c.want == resilient.ErrRefused {
						require.Empty(t, d.record("k"))
						require.NotErrorIs(t, err, resilient.ErrAmbiguous)
					} else {
						require.NotErrorIs(t, err, resilient.ErrRefused)
					}
					require.Negative(t, place(l, "mem-2 set k new"), "nothing is sent")
					r.back(0)
					r.activates(0)
					r.reads("k", "old")
				})
			})
		}
	}
}

func TestAJournalThatFailsAfterTheWriteWasSentMakesItAmbiguousAndOwedInMemory(t *testing.T) {
	torn := errors.New("torn")
	inDiskRig(t, 2, unbreakable, func(r *rig, d *disk, _ *writeLog) {
		r.set("k", "old")
		r.faults[0].FailWrites(nil)
		d.fails(failing("put", torn, false))
		err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		require.NotErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, err, torn)
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		require.Equal(t, 1, r.last(resilient.KindOwed, func(resilient.Event) bool { return true }).Count)
		r.reads("k", "new")
		d.fails(nil)
		r.faults[0].Up()
		r.settled()
		r.holds(0, "k", "new")
		r.until("no record is left", func() bool { return d.record("k") == "" })
	})
}

// The second record says that the first member has it now; without it a restart
// hands the same version back once more, which is no loss.
func TestInHandoffAJournalThatFailsAfterTheFirstMemberHasAWriteMakesItAmbiguous(t *testing.T) {
	torn := errors.New("torn")
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, d *disk, _ *writeLog) {
		r.withRemoval("k", "1")
		d.fails(failing("put k remove", torn, false))
		err := r.kv.SetRaw(r.ctx, "k", []byte("2"))
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		require.ErrorIs(t, err, torn)
		require.Equal(t, "k=2 owed:mem remove:mem-2 intent", d.record("k"))
		r.reads("k", "2")
		d.fails(nil)
		r.faults[1].Up()
		r.settled()
		r.holds(0, "k", "2")
		r.lacks(1, "k")
		r.until("no record is left", func() bool { return d.record("k") == "" })
	})
}

func TestInHandoffAllCandidatesAreTriedForAWriteHeldBackAndSuspectOnesIncluded(t *testing.T) {
	inRig(t, 2, both(handoff, func(cfg *failover.Config) { cfg.Failback.After, cfg.Failback.MaxAfter = time.Hour, time.Hour }), func(r *rig) {
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.kv.Active(), "the first is held back")
		r.faults[1].FailWrites(nil)
		r.set("k", "v")
		r.holds(0, "k", "v")
		r.lacks(1, "k")
		require.Empty(t, r.kv.Owed())
	})
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Hang()
		require.Equal(t, timeout, took(func() { r.set("a", "v") }))
		r.faults[0].Up()
		r.faults[1].FailWrites(nil)
		r.set("b", "v") // the first is suspect still, and tried last
		r.holds(0, "b", "v")
	})
}

func TestInHandoffAHungFirstMemberCostsOneTimeout(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Hang()
		require.Equal(t, timeout, took(func() { r.set("a", "v") }))
		require.Zero(t, took(func() { r.set("b", "v") }), "it is suspect, and tried last")
		require.Equal(t, map[string]int{r.name(0): 2}, r.kv.Owed())
		r.reads("a", "v")
		r.faults[0].Up()
		r.settled()
		r.holds(0, "a", "v")
		r.holds(0, "b", "v")
		r.lacks(1, "a")
	})
}

func TestInHandoffEachCandidateOfAWriteGetsItsShareOfTheDeadline(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 400*time.Millisecond)
		defer cancel()
		require.Equal(t, 200*time.Millisecond, took(func() { require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v"))) }))
		r.holds(1, "k", "v")
	})
}

func TestInHandoffAWriteWhoseCallerHasLeftIsBroughtToItsEnd(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.set("k", "old")
		r.faults[0].Hang()
		ctx, cancel := context.WithCancel(r.ctx)
		time.AfterFunc(100*time.Millisecond, cancel)
		err := r.kv.SetRaw(ctx, "k", []byte("new"))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		r.reads("k", "new") // waits for the end of the write
		r.holds(1, "k", "new")
		r.faults[0].Up()
		r.settled()
		r.holds(0, "k", "new")
		r.lacks(1, "k")
	})
}

func TestInHandoffKeysAndValuesAreCheckedAgainstWhatEveryMemberTakes(t *testing.T) {
	var sent *writeLog
	inRigOf(t, 2, handoff, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			sent = &writeLog{}
			return limited{sent.logged(kv, 0), resilient.Limits{MaxKey: 20, MaxValue: 10}}
		}
		return limited{kv, resilient.Limits{MaxKey: 10, MaxValue: 20}}
	}, func(r *rig) {
		require.Equal(t, resilient.Limits{MaxKey: 10, MaxValue: 10}, r.kv.Limits())
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "12345678901", nil), resilient.ErrKeyTooLarge)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", make([]byte, 11)), resilient.ErrValueTooLarge)
		require.ErrorIs(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "b": make([]byte, 11)}), resilient.ErrValueTooLarge)
		require.ErrorIs(t, r.kv.BatchDelete(r.ctx, []string{"a", "12345678901"}), resilient.ErrKeyTooLarge)
		require.Empty(t, sent.all(), "before routing")
		r.set("1234567890", "1234567890")
	})
}

func TestInHandoffHealthAndStatusSayWhetherAStandInServes(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		require.Equal(t, resilient.Up, r.kv.Status().Condition)
		r.withRemoval("k", "v")
		st := r.kv.Status()
		require.Zero(t, st.Owed, "a copy that is to be removed is owed to nobody")
		require.Zero(t, st.OwedBytes)
		require.True(t, st.OldestOwed.IsZero())
		require.Empty(t, r.kv.Owed())
		require.Equal(t, resilient.Up, st.Condition)
	})
	inRig(t, 2, handoff, func(r *rig) {
		r.away(0)
		r.set("k", "v")
		require.NoError(t, r.kv.Health(r.ctx))
		st := r.kv.Status()
		require.Equal(t, resilient.Degraded, st.Condition)
		require.Equal(t, r.name(1), st.Active)
		require.Equal(t, 1, st.Owed)
		require.Equal(t, int64(2), st.OwedBytes)
		require.Equal(t, []int{1, 0}, []int{st.Members[0].Owed, st.Members[1].Owed})
		r.away(1)
		require.ErrorIs(t, r.kv.Health(r.ctx), resilient.ErrRefused)
		require.Equal(t, resilient.Down, r.kv.Status().Condition)
		require.Equal(t, 1, r.kv.Status().Owed)
	})
}

func TestABatchInHandoffIsOwedAsAWholeAndRemovedKeyByKey(t *testing.T) {
	inDiskRig(t, 2, handoff, func(r *rig, d *disk, l *writeLog) {
		r.set("c", "old")
		r.away(0)
		l.forget()
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2")}))
		require.Equal(t, "put a=1 owed:mem remove:mem-2 intent; b=2 owed:mem remove:mem-2 intent", l.all()[0], "in one")
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"b", "c"}))
		require.Equal(t, map[string]int{r.name(0): 3}, r.kv.Owed())
		r.reads("a", "1")
		for _, key := range []string{"b", "c"} {
			_, err := r.kv.GetRaw(r.ctx, key)
			require.ErrorIs(t, err, resilient.ErrNotFound, "%s: a tombstone is an answer", key)
		}
		r.back(0)
		r.settled()
		r.holds(0, "a", "1")
		for _, key := range []string{"a", "b", "c"} {
			r.lacks(1, key)
		}
		r.lacks(0, "b")
		r.lacks(0, "c")
		r.until("no record is left", func() bool { return d.record("a")+d.record("b")+d.record("c") == "" })
	})
}

func TestABatchInHandoffThatOneMemberTakesByHalfGoesOnWholeToTheNext(t *testing.T) {
	inDiskRig(t, 2, both(handoff, unbreakable), func(r *rig, _ *disk, _ *writeLog) { // key by key
		r.faults[0].AckLost(1)
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2")}))
		r.holds(1, "a", "1")
		r.holds(1, "b", "2")
		require.Equal(t, map[string]int{r.name(0): 2}, r.kv.Owed())
		r.settled()
		r.holds(0, "a", "1")
		r.holds(0, "b", "2")
		r.lacks(1, "a")
		r.lacks(1, "b")
	})
}

func TestWritesWhileTheFirstIsHeldBackGoToTheStandInAndBackAgain(t *testing.T) {
	inRig(t, 2, both(handoff, func(cfg *failover.Config) { cfg.Failback.After = time.Minute }), func(r *rig) {
		r.away(0)
		r.set("k", "1")
		r.back(0)
		for _, value := range []string{"2", "3"} {
			require.Equal(t, r.name(1), r.kv.Active())
			r.set("k", value)
			r.reads("k", value)
			r.settled()
			r.holds(0, "k", value)
			r.lacks(1, "k")
			r.reads("k", value)
		}
		r.activates(0)
		r.reads("k", "3")
	})
}

// A caller that matches ErrRefused takes it that nothing was applied.
func TestRegression_AWriteThatWasSentMatchesRefusedWhenTheJournalRefusesItsRecord(t *testing.T) {
	noRoom := &simError{"no room", resilient.ErrRefused}
	t.Run("owed after it was sent", func(t *testing.T) {
		inDiskRig(t, 2, unbreakable, func(r *rig, d *disk, _ *writeLog) {
			r.faults[0].FailWrites(nil)
			d.fails(failing("put", noRoom, false))
			err := r.kv.SetRaw(r.ctx, "k", []byte("v"))
			r.holds(1, "k", "v")
			require.ErrorIs(t, err, resilient.ErrAmbiguous)
			require.NotErrorIs(t, err, resilient.ErrRefused)
		})
	})
	t.Run("refused by all, and not taken back", func(t *testing.T) {
		inDiskRig(t, 2, both(strict, unbreakable), func(r *rig, d *disk, _ *writeLog) {
			r.faults[0].FailWrites(nil)
			r.faults[1].FailWrites(nil)
			d.fails(func(line string) diskFailed {
				if line == "put k" {
					return diskFailed{err: noRoom}
				}
				return diskFailed{}
			})
			err := r.kv.SetRaw(r.ctx, "k", []byte("v"))
			require.ErrorIs(t, err, resilient.ErrAmbiguous)
			require.NotErrorIs(t, err, resilient.ErrRefused)
		})
	})
}
