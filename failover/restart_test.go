package failover_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// lives are processes that follow each other, each with a group of the same
// servers and the same disk. Its rig is that of the present one.
type lives struct {
	*rig
	d       *disk
	journal *diskJournal
	dead    *atomic.Bool // of the present process
}

// inLives runs test with n servers and a disk, before the first life.
func inLives(t *testing.T, n int, test func(v *lives)) {
	synctest.Test(t, func(t *testing.T) {
		v := &lives{rig: &rig{t: t, ctx: t.Context()}, d: newDisk()}
		v.servers(n)
		defer v.crash()
		test(v)
	})
}

func (v *lives) servers(n int) {
	for range n {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(v.t, err)
		v.stores = append(v.stores, kv)
		v.faults = append(v.faults, kvtest.NewFault(kv))
	}
}

// unready is begin without the time for a first check.
func (v *lives) unready(mode func(*failover.Config), order ...int) error {
	v.events, v.dead, v.journal = &kvtest.Recorder{}, &atomic.Bool{}, &diskJournal{d: v.d}
	member := resilient.Config{
		Timeout: timeout, Breaker: breaker.Config{OpenFor: 200 * time.Millisecond},
		Probe: resilient.Probe{
			Interval: time.Second, FastInterval: 100 * time.Millisecond, DownInterval: 100 * time.Millisecond,
			MaxDownInterval: 100 * time.Millisecond, Timeout: time.Second,
		},
	}
	cfg := failover.Config{Writes: failover.Mirror, Complete: true, Journal: v.journal, Observer: v.events, Member: member}
	mode(&cfg)
	var members []resilient.KVWithHealth
	for _, i := range order {
		own := cfg.Member
		own.Name = v.name(i)
		s, err := resilient.Wrap(mortal(v.dead, v.faults[i]), own)
		require.NoError(v.t, err)
		members = append(members, s)
	}
	kv, err := failover.New(cfg, members...)
	if err != nil {
		for _, m := range members {
			require.NoError(v.t, m.Close())
		}
		return err
	}
	v.kv = kv
	return nil
}

// begin begins the next life, with the members in the given order.
func (v *lives) begin(mode func(*failover.Config), order ...int) {
	v.t.Helper()
	require.NoError(v.t, v.unready(mode, order...))
	time.Sleep(time.Second / 2)
}

// crash ends the present life: the process sends nothing more, and nothing more
// gets to the disk.
func (v *lives) crash() {
	if v.kv == nil {
		return
	}
	v.journal.die()
	v.dead.Store(true)
	_ = v.kv.Close() // what a dead process does is nobody's concern
	v.kv = nil
}

// end ends the present life in good order.
func (v *lives) end() {
	v.t.Helper()
	require.NoError(v.t, v.kv.Close())
	require.True(v.t, v.d.clean())
	v.kv = nil
}

// mortal is kv as a process sees it that has died once dead is true. Its Close
// leaves kv open.
func mortal(dead *atomic.Bool, kv resilient.KVWithHealth) resilient.KVWithHealth {
	alive := func() error {
		if dead.Load() {
			return errSimDead
		}
		return nil
	}
	return &hooked{
		KVWithHealth: kv,
		get: func(ctx context.Context, key string) ([]byte, error) {
			if err := alive(); err != nil {
				return nil, err
			}
			return kv.GetRaw(ctx, key)
		},
		set: func(ctx context.Context, key string, value []byte) error {
			return errors.Join(alive(), orSkip(dead, func() error { return kv.SetRaw(ctx, key, value) }))
		},
		del: func(ctx context.Context, key string) error {
			return errors.Join(alive(), orSkip(dead, func() error { return kv.Delete(ctx, key) }))
		},
		health: func(ctx context.Context) error {
			return errors.Join(alive(), orSkip(dead, func() error { return kv.Health(ctx) }))
		},
		close: func() error { return nil },
	}
}

// orSkip calls f unless the process is dead.
func orSkip(dead *atomic.Bool, f func() error) error {
	if dead.Load() {
		return nil
	}
	return f()
}

// gone wants that the group says that there is no such key.
func (r *rig) gone(key string) {
	r.t.Helper()
	_, err := r.kv.GetRaw(r.ctx, key)
	require.ErrorIs(r.t, err, resilient.ErrNotFound)
}

// unsure wants that the group cannot tell whether there is such a key.
func (r *rig) unsure(key string) {
	r.t.Helper()
	_, err := r.kv.GetRaw(r.ctx, key)
	require.ErrorIs(r.t, err, failover.ErrUncertain)
	require.NotErrorIs(r.t, err, resilient.ErrNotFound)
}

var everyMode = map[string]func(*failover.Config){"handoff": handoff, "mirror": mirror, "mirror-strict": strict}

func TestAfterARestartWhatWasOwedIsReadAndHandedBack(t *testing.T) {
	for name, mode := range everyMode {
		for how, end := range map[string]func(v *lives){"a crash": (*lives).crash, "a clean close": (*lives).end} {
			t.Run(name+" after "+how, func(t *testing.T) {
				inLives(t, 2, func(v *lives) {
					v.begin(mode, 0, 1)
					v.set("gone", "1")
					v.faults[0].FailWrites(nil)
					v.set("k", "v")
					require.NoError(t, v.kv.Delete(v.ctx, "gone"))
					end(v)
					require.NoError(t, v.unready(mode, 0, 1))
					v.reads("k", "v") // the first call, before any check
					v.gone("gone")
					require.Equal(t, map[string]int{"mem": 2}, v.kv.Owed())
					v.faults[0].Up()
					v.settled()
					v.holds(0, "k", "v")
					v.lacks(0, "gone")
					v.until("the records are gone", func() bool { return v.d.record("k")+v.d.record("gone") == "" })
					v.crash()
					v.begin(mode, 0, 1)
					require.Empty(t, v.kv.Owed(), "once is enough")
					v.reads("k", "v")
				})
			})
		}
	}
}

func TestAfterACrashAnIntentIsRolledForward(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(mode, 0, 1)
				v.set("k", "old")
				v.until("its intent is forgotten", func() bool { return v.d.record("k") == "" })
				v.faults[0].FailWrites(nil)
				v.d.fails(func(string) diskFailed {
					if v.dead.Swap(true) { // it dies when the intent is durable, and nothing has been sent
						return diskFailed{err: errSimDead}
					}
					return diskFailed{}
				})
				_ = v.kv.SetRaw(v.ctx, "k", []byte("new")) // nobody hears what the dead say
				v.crash()
				v.d.fails(nil)
				require.Contains(t, v.d.record("k"), "k=new owed:mem")
				v.holds(0, "k", "old")
				v.faults[0].Up()
				require.NoError(t, v.unready(mode, 0, 1))
				v.reads("k", "new")
				v.settled()
				v.holds(0, "k", "new")
			})
		})
	}
}

func TestAfterARestartARemovalIsStillCarriedOut(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(both(handoff, unbreakable), 0, 1)
		v.withRemoval("k", "1")
		v.set("k", "2")
		v.crash()
		v.faults[0].FailReads(nil)
		require.NoError(t, v.unready(handoff, 0, 1))
		v.unsure("k")
		v.faults[0].Up()
		v.reads("k", "2")
		v.faults[1].Up()
		v.settled()
		v.lacks(1, "k")
		v.holds(0, "k", "2")
	})
}

func TestAfterARestartNothingIsHandedBackUntilAGoodCheckAndTheWindowAfterIt(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(v *lives)
		fresh bool // a fresh key is tainted too
	}{"a crash": {(*lives).crash, true}, "a clean close": {(*lives).end, false}} {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(mirror, 0, 1)
				v.faults[0].FailWrites(nil)
				v.set("k", "v")
				c.end(v)
				v.faults[0].Up()
				v.faults[0].Unhealthy(nil)
				require.NoError(t, v.unready(both(mirror, unbreakable), 0, 1))
				time.Sleep(time.Hour)
				v.lacks(0, "k")
				v.set("fresh", "v")
				require.Equal(t, c.fresh, v.kv.Owed()["mem"] == 2, "%v", v.kv.Owed())
				v.faults[0].Up()
				time.Sleep(2*timeout - 10*time.Millisecond)
				v.lacks(0, "k")
				time.Sleep(2 * timeout)
				v.holds(0, "k", "v")
				require.Empty(t, v.kv.Owed())
				v.set("fresh", "2")
				require.Empty(t, v.kv.Owed())
			})
		})
	}
}

func TestWhatACallOfTheLastLifeAppliesLateUndoesNothing(t *testing.T) {
	for name, mode := range everyMode {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(mode, 0, 1)
				v.faults[0].ApplyLate(true)
				v.faults[0].LateBy(time.Second)
				v.faults[0].Hang()
				v.set("k", "1")
				v.crash()
				v.begin(mode, 0, 1)
				v.set("k", "2")
				v.faults[0].Up()
				v.settled()
				v.holds(0, "k", "2")
				time.Sleep(time.Minute)
				v.holds(0, "k", "2")
			})
		})
	}
}

// cutOff makes a write of k that only the first member has when the process
// dies.
func (v *lives) cutOff() {
	v.t.Helper()
	v.faults[1].Hang()
	written := make(chan error, 1)
	go func() { written <- v.kv.SetRaw(v.ctx, "k", []byte("v")) }()
	time.Sleep(10 * time.Millisecond)
	v.reads("k", "v") // seen, and not acknowledged yet
	require.Empty(v.t, written)
	v.crash()
	<-written
	v.faults[1].Up()
	v.holds(0, "k", "v")
	v.lacks(1, "k")
}

func TestAfterAnUncleanEndAMirrorDistrustsAllMembersButTheFirst(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1, 2)
		v.cutOff()
		v.begin(mirror, 0, 1, 2)
		require.Equal(t, []string{"incomplete: mem-2", "incomplete: mem-3"}, v.d.noted())
		v.gone("none") // the first is trusted
		v.faults[0].Down()
		v.unsure("none")
		v.unsure("none-either")
		v.faults[0].Up()
		v.settled()
		v.end()
		for range 2 { // noted for good: a clean close changes nothing about it
			v.begin(mirror, 0, 1, 2)
			v.faults[0].Down()
			v.unsure("none")
			v.faults[0].Up()
			v.end()
		}
	})
}

func TestAfterACleanCloseAMirrorTrustsItsMembers(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		for range 2 {
			v.begin(mirror, 0, 1)
			v.faults[0].Down()
			v.gone("none")
			v.faults[0].Up()
			v.end()
		}
		require.Empty(t, v.d.noted())
	})
}

func TestAfterAnUncleanEndAMirrorStrictTrustsItsMembersAndUnseesNothing(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(strict, 0, 1)
		v.cutOff()
		v.begin(strict, 0, 1)
		require.Empty(t, v.d.noted())
		v.faults[0].Down()
		v.reads("k", "v")
		v.gone("none")
		v.faults[0].Up()
		v.settled()
		v.holds(1, "k", "v")
	})
}

func TestAJournalThatCannotNoteTheDistrustStopsNewAndIsLeftAsItWas(t *testing.T) {
	torn := errors.New("torn")
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.crash()
		v.d.fails(failing("note", torn, false))
		require.ErrorIs(t, v.unready(mirror, 0, 1), torn)
		require.False(t, v.d.clean(), "the next life must not take it for clean")
		v.d.fails(nil)
		v.begin(mirror, 0, 1)
		require.Equal(t, []string{"incomplete: mem-2"}, v.d.noted())
	})
}

func TestMembersAreMatchedByNameInWhateverOrder(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[0].FailWrites(nil)
		v.set("k", "v")
		v.end()
		v.faults[0].Up()
		v.begin(mirror, 2, 1, 0)
		require.Equal(t, map[string]int{"mem": 1}, v.kv.Owed())
		v.reads("k", "v")
		v.settled()
		v.holds(0, "k", "v")
		v.lacks(2, "k")
	})
}

func TestAJournalThatOwesSomethingToNoMemberStopsNew(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[0].FailWrites(nil)
		v.set("k", "v")
		v.end()
		require.ErrorContains(t, v.unready(mirror, 1, 2), "owed to mem,")
		require.NotEmpty(t, v.d.record("k"))
		require.True(t, v.d.clean())
		v.begin(mirror, 0, 1)
		v.reads("k", "v")
	})
}

func TestAHandoffDoesNotStartOnWhatAMirrorOwedToOthersThanTheFirst(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.set("k", "old")
		v.faults[1].FailWrites(nil)
		v.set("k", "new")
		v.end()
		require.Equal(t, "k=new owed:mem-2", v.d.record("k"))
		require.ErrorContains(t, v.unready(handoff, 0, 1), "Flush")
		v.begin(mirror, 0, 1) // nothing was changed by the attempt
		v.faults[1].Up()
		v.settled()
		v.holds(1, "k", "new")
	})
}

func TestAHandoffHandsBackToItsFirstMemberWhatAMirrorOwedIt(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[0].FailWrites(nil)
		v.set("k", "v")
		v.end()
		v.begin(handoff, 0, 1)
		v.reads("k", "v")
		v.faults[0].Up()
		v.settled()
		v.holds(0, "k", "v")
	})
}

func TestAMirrorDoesNotStartOnTheRemovalsOfAHandoff(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"mirror": mirror, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(handoff, 0, 1)
				v.faults[0].FailWrites(nil)
				v.set("a-key", "a-value")
				v.end()
				before := v.d.record("a-key")
				err := v.unready(mode, 0, 1)
				require.ErrorContains(t, err, "Flush")
				require.NotContains(t, err.Error(), "a-key")
				require.NotContains(t, err.Error(), "a-value")
				require.Equal(t, before, v.d.record("a-key"))
				require.True(t, v.d.clean(), "it ended cleanly, and nothing has happened since")
				v.faults[0].Up()
				v.begin(handoff, 0, 1)
				v.settled()
				v.end()
				v.begin(mode, 0, 1)
				v.reads("a-key", "a-value")
			})
		})
	}
}

// As long as a record may be handed out after a restart, a new write must
// replace it.
func TestARecordThatTheJournalHasNotForgottenYetNeverComesBackOverANewerWrite(t *testing.T) {
	for name, mode := range everyMode {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(mode, 0, 1)
				v.faults[0].FailWrites(nil)
				v.set("k", "1")
				v.d.fails(failing("forget", errors.New("torn"), false))
				v.faults[0].Up()
				v.settled()
				require.Contains(t, v.d.record("k"), "k=1")
				v.activates(0)
				v.set("k", "2")
				v.crash()
				v.d.fails(nil)
				v.begin(mode, 0, 1)
				v.reads("k", "2")
				v.settled()
				v.reads("k", "2")
				v.holds(0, "k", "2")
			})
		})
	}
}

func TestTheNumbersOfRecordsGoOnAfterARestart(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.faults[0].FailWrites(nil)
		for range 10 {
			v.set("k", "1")
		}
		last := v.d.seq("k")
		v.crash()
		v.begin(mirror, 0, 1)
		v.set("k", "2")
		require.Greater(t, v.d.seq("k"), last)
	})
}

func TestAWriteThatAllRefusedIsNotRolledForwardByARestart(t *testing.T) {
	for name, mode := range everyMode {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(mode, 0, 1)
				v.set("k", "old")
				v.faults[0].FailWrites(nil)
				v.faults[1].FailWrites(nil)
				require.ErrorIs(t, v.kv.SetRaw(v.ctx, "k", []byte("new")), resilient.ErrRefused)
				require.ErrorIs(t, v.kv.SetRaw(v.ctx, "fresh", []byte("new")), resilient.ErrRefused)
				v.crash()
				v.faults[0].Up()
				v.faults[1].Up()
				v.begin(mode, 0, 1)
				require.Empty(t, v.kv.Owed())
				v.reads("k", "old")
				v.gone("fresh")
			})
		})
	}
}

func TestWhatAMemoryJournalOwedIsLostWithItsProcess(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		memory := func(cfg *failover.Config) { handoff(cfg); cfg.Journal = failover.MemoryJournal(0) }
		v.begin(memory, 0, 1)
		v.faults[0].FailWrites(nil)
		v.set("k", "v")
		v.crash()
		v.faults[0].Up()
		v.begin(memory, 0, 1)
		require.Empty(t, v.kv.Owed())
		v.gone("k")
		v.holds(1, "k", "v") // left behind
	})
}

func TestRegression_ANewOrderOfAHandoffsMembersLosesWhatTheFirstWasOwed(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(handoff, 0, 1)
		v.faults[0].FailWrites(nil)
		v.set("k", "v")
		v.end()
		v.faults[0].Up()
		if v.unready(handoff, 1, 0) != nil {
			return // to refuse the new order is as good
		}
		v.reads("k", "v")
		v.settled()
		v.reads("k", "v")
	})
}

func TestRegression_ANewOrderOfAHandoffsMembersRemovesWhatTheNewFirstHas(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(both(handoff, unbreakable), 0, 1)
		v.withRemoval("k", "v")
		v.end()
		v.faults[1].Up()
		if v.unready(handoff, 1, 0) != nil {
			return // to refuse the new order is as good
		}
		v.settled()
		v.reads("k", "v") // the first's answers count, and it had it
	})
}

func TestRegression_AMirrorStrictTrustsTheMembersOfAMirrorThatCrashed(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.cutOff()
		v.begin(strict, 0, 1)
		v.reads("k", "v")
		v.faults[0].Down()
		v.unsure("k") // a miss would un-see it
	})
}

// In the life between, writes go past the member, and nobody owes them to it: its
// misses are no answers until it has been rebuilt again.
func TestRegression_ARebuiltMemberIsTakenForWholeAfterALifeThatItHadNoPartIn(t *testing.T) {
	for name, between := range map[string]struct {
		mode  func(*failover.Config)
		order []int
	}{
		"not a member":    {incompleteMirror, []int{0}},
		"a mere stand-in": {handoff, []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inLives(t, 2, func(v *lives) {
				v.begin(incompleteMirror, 0, 1)
				require.NoError(t, v.kv.Rebuild(v.ctx, v.name(1), nil))
				v.end()

				v.begin(between.mode, between.order...)
				v.set("k", "v")
				v.lacks(1, "k")
				v.end()

				v.begin(incompleteMirror, 0, 1)
				v.away(0)
				v.unsure("k")
				v.back(0)
				require.NoError(t, v.kv.Rebuild(v.ctx, v.name(1), nil))
				v.end()

				v.begin(incompleteMirror, 0, 1) // as before
				v.away(0)
				v.reads("k", "v")
				v.gone("other")
				v.back(0)
			})
		})
	}
}
