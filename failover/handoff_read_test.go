package failover_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// old puts a key into the first member and nowhere else.
func (r *rig) old(key, value string) {
	r.t.Helper()
	r.set(key, value)
	r.holds(0, key, value)
	r.lacks(1, key)
}

func TestInHandoffAMissOnTheStandInIsUncertainAndNeverNotFound(t *testing.T) {
	inRig(t, 2, handoff, func(r *rig) {
		r.old("a-key", "a-value")
		r.gone("none")
		r.away(0)
		for _, key := range []string{"a-key", "none"} {
			_, err := r.kv.GetRaw(r.ctx, key)
			require.ErrorIs(t, err, failover.ErrUncertain)
			require.ErrorIs(t, err, resilient.ErrUnavailable)
			require.NotErrorIs(t, err, resilient.ErrNotFound)
			require.NotContains(t, err.Error(), "a-key")
			require.ErrorContains(t, err, "Complete", "the text names the remedies")
			require.ErrorContains(t, err, "Rebuild")
		}
		r.back(0)
		r.reads("a-key", "a-value")
		r.gone("none")
	})
}

func TestInHandoffAListOfTheStandInIsUncertain(t *testing.T) {
	inRig(t, 2, handoff, func(r *rig) {
		r.away(0)
		r.set("k", "v")
		keys, err := r.kv.List(r.ctx, "")
		require.ErrorIs(t, err, failover.ErrUncertain)
		require.Nil(t, keys)
		require.Zero(t, r.faults[1].Count(resilient.OpList), "its answer is of no use")
	})
}

func TestInHandoffABatchWithAKeyThatTheStandInLacksIsUncertain(t *testing.T) {
	inRig(t, 2, handoff, func(r *rig) {
		r.old("old", "1")
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "copy", []byte("2")))
		r.away(0)
		r.set("owed", "3")
		require.NoError(t, r.kv.Delete(r.ctx, "deleted"))
		for _, keys := range [][]string{{"old"}, {"owed", "old"}, {"copy", "none", "owed"}} {
			values, err := r.kv.BatchGetRaw(r.ctx, keys)
			require.ErrorIs(t, err, failover.ErrUncertain, "%v", keys)
			require.Nil(t, values)
		}
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"owed", "deleted"})
		require.NoError(t, err, "the group itself knows them")
		require.Equal(t, map[string][]byte{"owed": []byte("3")}, values)
		var receipt resilient.Receipt
		values, err = r.kv.BatchGetRaw(resilient.WithReceipt(r.ctx, &receipt), []string{"copy", "owed"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"copy": []byte("2"), "owed": []byte("3")}, values)
		require.True(t, receipt.Degraded)
		r.back(0)
		values, err = r.kv.BatchGetRaw(r.ctx, []string{"old", "none", "owed"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"old": []byte("1"), "owed": []byte("3")}, values)
	})
}

func TestInHandoffAllCandidatesAreTriedBeforeAMissIsUncertain(t *testing.T) {
	for name, trouble := range map[string]func(r *rig){
		"the first is held back": func(r *rig) { r.away(0); r.back(0) },
		"the first is suspect": func(r *rig) {
			r.faults[0].Hang()
			require.ErrorIs(r.t, orErr(r.kv.GetRaw(r.ctx, "old")), failover.ErrUncertain)
			r.faults[0].Up()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 3, both(handoff, func(cfg *failover.Config) { cfg.Failback.After, cfg.Failback.MaxAfter = time.Hour, time.Hour }), func(r *rig) {
				r.old("old", "1")
				trouble(r)
				require.NotEqual(t, r.name(0), r.kv.Active())
				asked := []int{r.faults[0].Calls(), r.faults[1].Calls(), r.faults[2].Calls()}
				r.reads("old", "1")
				require.Equal(t, []int{asked[0] + 1, asked[1] + 1, asked[2] + 1},
					[]int{r.faults[0].Calls(), r.faults[1].Calls(), r.faults[2].Calls()}, "each once, the first last")
				r.gone("none")
				keys, err := r.kv.List(r.ctx, "")
				require.NoError(t, err)
				require.Equal(t, []string{"old"}, keys)
				values, err := r.kv.BatchGetRaw(r.ctx, []string{"old", "none"})
				require.NoError(t, err)
				require.Equal(t, map[string][]byte{"old": []byte("1")}, values)
			})
		})
	}
}

// orErr drops the value of a read.
func orErr(_ []byte, err error) error { return err }

func TestInHandoffAHitWithoutAnEntryIsServedAndMarkedDegraded(t *testing.T) {
	inRig(t, 2, handoff, func(r *rig) {
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "copy", []byte("1")))
		r.away(0)
		var receipt resilient.Receipt
		got, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &receipt), "copy")
		require.NoError(t, err)
		require.Equal(t, "1", string(got))
		require.Equal(t, resilient.Receipt{Store: r.name(1), Degraded: true}, receipt)
		done := r.last(resilient.KindDone, func(e resilient.Event) bool { return e.Group != "" && e.Op == resilient.OpGet })
		require.True(t, done.Degraded)
		require.Equal(t, r.name(1), done.Store)
	})
}

func TestInHandoffWhatIsOwedIsReadFromTheGroupItself(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.set("k", "old")
		r.set("gone", "old")
		r.faults[0].FailWrites(nil) // it would still answer with the old value
		r.set("k", "new")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		r.set("fresh", "new")
		for range 2 {
			require.Equal(t, "failover", r.servedBy("k"))
			r.reads("k", "new")
			r.gone("gone")
			keys, err := r.kv.List(r.ctx, "")
			require.NoError(t, err)
			require.Equal(t, []string{"fresh", "k"}, keys, "the first's, with what it is owed in their place")
			values, err := r.kv.BatchGetRaw(r.ctx, []string{"k", "gone", "fresh"})
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"k": []byte("new"), "fresh": []byte("new")}, values)
			r.faults[1].FailReads(nil)
		}
	})
}

func TestInHandoffReadersWaitForTheEndOfAWriteAndNeverGetThePreviousValue(t *testing.T) {
	for name, second := range map[string]func(r *rig){
		"the stand-in takes it":     func(*rig) {},
		"the stand-in may have it":  func(r *rig) { r.faults[1].AckLost(1) },
		"the stand-in refuses it":   func(r *rig) { r.faults[1].FailWrites(nil) },
		"the stand-in has it later": func(r *rig) { r.faults[1].Latency(timeout / 2) },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
				r.set("k", "old")
				r.faults[0].Hang()
				second(r)
				written := make(chan time.Time, 1)
				go func() {
					_ = r.kv.SetRaw(r.ctx, "k", []byte("new")) // may be ambiguous
					written <- time.Now()
				}()
				time.Sleep(10 * time.Millisecond)
				r.reads("k", "new")
				require.Equal(t, <-written, time.Now(), "the write ended just now")
			})
		})
	}
}

func TestInHandoffAReaderThatWaitedForARefusedWriteLooksUpAgain(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.set("k", "old")
		require.NoError(t, r.kv.Drain(r.name(1)))
		slow := make(chan struct{})
		r.faults[0].FailWrites(nil)
		r.faults[0].Latency(100 * time.Millisecond)
		go func() {
			defer close(slow)
			_ = r.kv.SetRaw(r.ctx, "k", []byte("new")) // is refused
		}()
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, 190*time.Millisecond, took(func() { r.reads("k", "old") }), "90 ms for the write, then its own 100 ms")
		<-slow
	})
}
