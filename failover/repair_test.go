package failover_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestRegression_ARefusedRebuildTakesTheMembersMissesAwayAllTheSame(t *testing.T) {
	inDiskRig(t, 3, mirror, func(r *rig, d *disk, _ *writeLog) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		err := r.kv.Rebuild(r.ctx, r.name(1), nil)
		require.EqualError(t, err, "failover: rebuild mem-2: the first member, which it is rebuilt from: drained by the operator")
		require.Empty(t, d.noted())
		r.gone("none") // from the second, which is complete still
	})
}

func TestADrainedMemberIsRebuiltAndWholeWhenItIsReleased(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		for n := range 50 {
			r.set(fmt.Sprint(n), "1")
		}
		require.NoError(t, r.kv.Drain(r.name(1)))
		for n := range 50 { // it loses its data, and gets another's
			require.NoError(t, r.stores[1].Delete(r.ctx, fmt.Sprint(n)))
		}
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "strange", nil))
		r.set("7", "2")
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), nil))
		r.holds(1, "49", "1")
		r.lacks(1, "strange")
		r.lacks(1, "7")
		require.Equal(t, map[string]int{r.name(1): 1}, r.kv.Owed(), "what it missed is for hand-back")
		require.NoError(t, r.kv.Release(r.name(1)))
		r.away(0)
		r.reads("7", "2")
		r.reads("49", "1")
		r.gone("none")
		r.rest()
		r.holds(1, "7", "2")
	})
}

func TestADrainedMemberWhoseBreakerIsHalfOpenIsRebuiltToo(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		for n := range 50 {
			r.set(fmt.Sprint(n), "1")
		}
		r.faults[1].FailWrites(errors.New("torn"))
		for range 5 {
			_ = r.kv.SetRaw(r.ctx, "k", nil)
		}
		require.Equal(t, "open", r.state(1))
		require.NoError(t, r.kv.Drain(r.name(1)))
		r.faults[1].Up()
		r.until("it is half-open", func() bool { return r.state(1) == "half-open" })
		time.Sleep(time.Minute)
		require.Equal(t, "half-open", r.state(1), "a drained member gets no trials")
		require.NoError(t, r.stores[1].Delete(r.ctx, "7"))
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), nil))
		r.holds(1, "7", "1")
	})
}

func TestRegression_DiscardDuringRebuildLeavesAHoleInACompleteMember(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		r.set("a", "1")
		r.faults[1].FailWrites(nil)
		r.set("owed", "v")
		r.faults[1].Up()
		r.faults[0].Latency(100 * time.Millisecond)
		rebuilt := make(chan error, 1)
		go func() { rebuilt <- r.kv.Rebuild(r.ctx, r.name(1), nil) }()
		time.Sleep(50 * time.Millisecond)
		_, err := r.kv.Discard(r.name(1))
		require.ErrorContains(t, err, "is being rebuilt")
		require.NoError(t, <-rebuilt)
		r.rest()
		r.holds(1, "owed", "v")
	})
}

func TestRegression_ARebuildCopiesTheFirstMembersOldValuesAfterItsNewOnesWereDiscarded(t *testing.T) {
	inRig(t, 2, both(unbreakable, incompleteMirror), func(r *rig) {
		require.NoError(t, r.stores[0].SetRaw(r.ctx, "k", []byte("old")))
		r.faults[0].FailWrites(nil)
		r.set("k", "new") // the second has it, the first is owed it
		r.faults[0].Latency(100 * time.Millisecond)
		rebuilt := make(chan error, 1)
		go func() { rebuilt <- r.kv.Rebuild(r.ctx, r.name(1), nil) }()
		time.Sleep(50 * time.Millisecond) // it lists the first
		r.restOf(r.name(1))
		r.discards(0, 1)
		require.ErrorContains(t, <-rebuilt, "no source")
		r.holds(1, "k", "new")
	})
}

// restOf waits until member is owed nothing.
func (r *rig) restOf(member string) {
	r.t.Helper()
	r.until(member+" is owed nothing", func() bool { return r.kv.Owed()[member] == 0 })
}

func TestRegression_ARebuildWhoseStoreEndedAGoroutineClaimsToBeComplete(t *testing.T) {
	inRigOf(t, 2, incompleteMirror, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(context.Context, string, []byte) error { runtime.Goexit(); return nil }}
	}, func(r *rig) {
		for n := range 10 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("v")))
		}
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, r.name(1), nil), "ended the call's goroutine")
	})
}

func TestRegression_APanicOfProgressEndsTheProcess(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		for n := range 500 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("v")))
		}
		var last atomic.Int32
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), func(done int) {
			require.True(t, last.CompareAndSwap(int32(done-100), int32(done)) || done > int(last.Swap(int32(done))))
		}))
		err := r.kv.Rebuild(r.ctx, r.name(1), func(int) { panic("canary") })
		var panicked *resilient.PanicError
		require.ErrorAs(t, err, &panicked)
	})
}

func TestRegression_ADiscardThatFailedLeavesARecordThatComesBackOverANewerWrite(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1, 2)
		v.away(1)
		v.away(2)
		v.set("k", "old")
		v.d.fails(func(line string) diskFailed {
			if !strings.HasPrefix(line, "put ") {
				return diskFailed{}
			}
			return diskFailed{err: errors.New("sync"), kept: true}
		})
		_, err := v.kv.Discard(v.name(1))
		require.ErrorContains(t, err, "sync")
		v.d.fails(nil)
		v.back(1)
		v.back(2)
		v.rest()
		v.until("its record is gone", func() bool { return v.d.record("k") == "" })
		v.set("k", "new")
		v.crash()
		v.begin(mirror, 0, 1, 2)
		v.rest()
		v.holds(2, "k", "new")
	})
}
