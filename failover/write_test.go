package failover_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestAWriteGoesToEveryMember(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		r.set("k", "v")
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2")}))
		for i := range 3 {
			r.holds(i, "k", "v")
			r.holds(i, "a", "1")
		}
		require.NoError(t, r.kv.Delete(r.ctx, "k"))
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"a", "b", "a"}))
		for i := range 3 {
			r.lacks(i, "k")
			r.lacks(i, "a")
		}
		require.Empty(t, r.kv.Owed())
	})
}

func TestWhatAMemberMissedIsHandedBackWhenItReturns(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("old", "1")
		r.set("gone", "1")
		r.faults[0].Down()
		r.set("old", "2")
		r.set("new", "1")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"b1": nil, "b2": nil}))
		require.Equal(t, map[string]int{r.name(0): 5}, r.kv.Owed())
		r.holds(0, "old", "1")

		r.faults[0].Up()
		r.rest()
		r.holds(0, "old", "2")
		r.holds(0, "new", "1")
		r.lacks(0, "gone")
		handed := 0
		for _, e := range r.events.Of(resilient.KindHandedBack) {
			require.Equal(t, r.name(0), e.Store)
			handed += e.Count
		}
		require.Equal(t, 5, handed)
	})
}

func TestTheReceiptSaysHowManyMembersAreOwed(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		r.faults[0].Down()
		r.faults[2].Down()
		var receipt resilient.Receipt
		require.NoError(t, r.kv.SetRaw(resilient.WithReceipt(r.ctx, &receipt), "k", []byte("v")))
		require.Equal(t, resilient.Receipt{Store: r.name(1), Owed: 2, Degraded: true}, receipt)
		require.Equal(t, 2, r.events.Count(resilient.KindOwed), "one event per member")
	})
}

func TestAWriteWaitsForTheOthersNoLongerThanStraggle(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Straggle = 30 * time.Millisecond }, func(r *rig) {
		r.faults[1].Latency(500 * time.Millisecond)
		require.Equal(t, 30*time.Millisecond, took(func() { r.set("k", "v") }))
		require.Equal(t, map[string]int{r.name(1): 1}, r.kv.Owed())
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, r.kv.Owed(), "its late answer says that it has the write")
		r.holds(1, "k", "v")
	})
}

func TestAWriteWaitsForTheActiveMemberThoughAnotherHasIt(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		require.Equal(t, 500*time.Millisecond, took(func() { r.set("k", "v") }))
		require.Empty(t, r.kv.Owed())
	})
}

func TestAWriteOutlastsAHungMemberByNoMoreThanItsTimeout(t *testing.T) {
	for _, ignores := range []bool{false, true} {
		t.Run(fmt.Sprintf("ignores its context: %v", ignores), func(t *testing.T) {
			inRig(t, 2, nil, func(r *rig) {
				if ignores {
					r.faults[0].HangIgnoringContext()
				} else {
					r.faults[0].Hang()
				}
				require.LessOrEqual(t, took(func() { r.set("k", "1") }), timeout+50*time.Millisecond)
				require.LessOrEqual(t, took(func() { r.set("k", "2") }), 50*time.Millisecond, "it is tried last now")
				r.reads("k", "2")
				r.faults[0].Up()
				r.rest()
				r.holds(0, "k", "2")
			})
		})
	}
}

func TestAWriteThatEveryMemberRefusedLeavesNothingBehind(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "1")
		r.faults[0].FailWrites(nil)
		r.faults[1].FailWrites(nil)
		err := r.kv.SetRaw(r.ctx, "k", []byte("2"))
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		require.Empty(t, r.kv.Owed())
		r.reads("k", "1")
	})
}

func TestARefusedWriteLeavesWhatWasOwedBefore(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		r.set("k", "1")
		r.faults[1].FailWrites(nil)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("2")), resilient.ErrRefused)
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.reads("k", "1")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "1")
	})
}

func TestAnAmbiguousWriteIsRolledForward(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "1")
		r.faults[0].AckLost(1)
		r.faults[1].FailWrites(nil)
		err := r.kv.SetRaw(r.ctx, "k", []byte("2"))
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		require.NotErrorIs(t, err, resilient.ErrRefused)
		require.Equal(t, map[string]int{r.name(0): 1, r.name(1): 1}, r.kv.Owed(), "the one that refused is owed it too")
		r.reads("k", "2")
		r.faults[0].Up()
		r.faults[1].Up()
		r.rest()
		r.holds(0, "k", "2")
		r.holds(1, "k", "2")
	})
}

func TestAnAmbiguousMemberIsOwedThoughAnotherHasTheWrite(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "v")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
	})
}

func TestNothingIsHandedBackWhileAnEarlierCallCanStillApply(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].ApplyLate(true)
		r.faults[0].LateBy(1500 * time.Millisecond)
		r.faults[0].Hang()
		r.set("k", "1") // lies in the hung member's buffers
		r.set("k", "2")
		r.faults[0].Up() // applies "1", 1.5 s from now
		time.Sleep(1400 * time.Millisecond)
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.rest()
		r.holds(0, "k", "2")
	})
}

func TestAnAnswerDoesNotClearAMemberThatAnEarlierCallCanStillChange(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "1")
		r.set("k", "2") // acknowledged by both
		r.holds(0, "k", "2")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed(), "\"1\" may yet land on top of it")
		r.rest()
		r.holds(0, "k", "2")
	})
}

func TestACallerWhoLeavesAWriteIsToldThatItMayApply(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		r.faults[1].Latency(500 * time.Millisecond)
		ctx, cancel := context.WithCancel(r.ctx)
		time.AfterFunc(100*time.Millisecond, cancel)
		d := took(func() {
			err := r.kv.SetRaw(ctx, "k", []byte("v"))
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, resilient.ErrAmbiguous)
		})
		require.Equal(t, 100*time.Millisecond, d)
		r.reads("k", "v") // waits for the write, which goes on
		synctest.Wait()
		r.holds(0, "k", "v")
		r.holds(1, "k", "v")
		require.Empty(t, r.kv.Owed())
	})
}

func TestACallerWhoLeavesWhenOneMemberHasTheWriteGetsItsAnswer(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Hang()
		ctx, cancel := context.WithCancel(r.ctx)
		time.AfterFunc(100*time.Millisecond, cancel)
		require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v")))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
	})
}

func TestAContextThatHasEndedStopsAWriteBeforeAnyEffect(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		go func() { _ = r.kv.SetRaw(r.ctx, "k", []byte("1")) }()
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(r.ctx, 10*time.Millisecond)
		defer cancel()
		err := r.kv.SetRaw(ctx, "k", []byte("2")) // waits for the key's lock
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		time.Sleep(time.Second)
		r.reads("k", "1")
	})
}

func TestReadersWaitForAnUndecidedWriteAndGetIt(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "1")
		r.faults[0].Latency(300 * time.Millisecond)
		r.faults[1].Latency(100 * time.Millisecond)
		go func() { _ = r.kv.SetRaw(r.ctx, "k", []byte("2")) }()
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, 90*time.Millisecond, took(func() { r.reads("k", "2") }), "until the first member has it")
	})
}

func TestS17_AFullJournalRefusesBeforeAnythingIsSent(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(2) }, func(r *rig) {
		r.faults[0].Down()
		r.set("a", "1")
		r.set("b", "1")
		sent := r.faults[1].Count(resilient.OpSet)
		err := r.kv.SetRaw(r.ctx, "c", []byte("1"))
		require.ErrorIs(t, err, failover.ErrJournalFull)
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.Equal(t, sent, r.faults[1].Count(resilient.OpSet))
		r.lacks(1, "c")
		r.set("a", "2") // has its place already
		r.faults[0].Up()
		r.rest()
		r.set("c", "1")
	})
}

func TestABatchIsLockedInOneOrder(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		done := make(chan error)
		for i := range 8 {
			go func() {
				kv := map[string][]byte{}
				for n := range 50 {
					kv[fmt.Sprint((n*7+i*13)%50)] = []byte{byte(i)}
				}
				done <- r.kv.BatchSetRaw(r.ctx, kv)
			}()
		}
		for range 8 {
			require.NoError(t, <-done)
		}
	})
}

func TestADrainedMemberIsLeftAloneAndOwedWhatItMisses(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		calls := r.faults[0].Count(resilient.OpGet) + r.faults[0].Count(resilient.OpSet)
		r.set("k", "v")
		r.reads("k", "v")
		time.Sleep(time.Minute)
		require.Equal(t, calls, r.faults[0].Count(resilient.OpGet)+r.faults[0].Count(resilient.OpSet))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		require.NoError(t, r.kv.Release(r.name(0)))
		r.rest()
		r.holds(0, "k", "v")
		require.ErrorContains(t, r.kv.Drain("nobody"), `"nobody"`)
	})
}

// What is known when the answer comes is too late: the earlier call may have
// taken effect between this one and its answer.
func TestRegression_AnEarlierCallThatEndsTogetherWithALaterOneDoesNotUndoIt(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		for n := range 100 {
			key := fmt.Sprint("k", n)
			began := time.Now()
			r.faults[1].Latency(500 * time.Millisecond)
			r.set(key, "1") // goes on at the second member
			time.Sleep(100 * time.Millisecond)
			r.faults[1].Latency(500*time.Millisecond - time.Since(began))
			r.set(key, "2")
			time.Sleep(time.Second)
		}
		r.faults[1].Latency(0)
		r.rest()
		for n := range 100 {
			r.holds(0, fmt.Sprint("k", n), "2")
			r.holds(1, fmt.Sprint("k", n), "2")
		}
	})
}
