package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// incompleteMirror is a mirror whose second member was not there from the start.
func incompleteMirror(cfg *failover.Config) { cfg.Complete = false }

func TestRebuildMakesAMemberAFullCopyOfTheFirst(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		for n := range 500 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("v")))
		}
		require.NoError(t, r.stores[0].SetRaw(r.ctx, "empty", nil))
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "7", []byte("old")))
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "gone", []byte("old")))
		r.away(0)
		_, err := r.kv.GetRaw(r.ctx, "none")
		require.ErrorIs(t, err, failover.ErrUncertain)
		r.back(0)

		var mu sync.Mutex // guards told
		var told []int
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), func(done int) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, done)
		}))
		require.NotEmpty(t, told)
		r.holds(1, "7", "v")
		r.holds(1, "499", "v")
		r.holds(1, "empty", "")
		r.lacks(1, "gone")
		r.away(0)
		_, err = r.kv.GetRaw(r.ctx, "none")
		require.ErrorIs(t, err, resilient.ErrNotFound, "its miss is an answer now")
	})
}

func TestRebuildUnderWritesLosesNone(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		for n := range 200 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("1")))
		}
		r.faults[1].Latency(time.Millisecond)
		rebuilt := make(chan error, 1)
		go func() { rebuilt <- r.kv.Rebuild(r.ctx, r.name(1), nil) }()
		for n := range 200 {
			if n%3 == 0 {
				require.NoError(t, r.kv.Delete(r.ctx, fmt.Sprint(n)))
				continue
			}
			r.set(fmt.Sprint(n), "2")
		}
		require.NoError(t, <-rebuilt)
		r.rest()
		for n := range 200 {
			if n%3 == 0 {
				r.lacks(1, fmt.Sprint(n))
				continue
			}
			r.holds(1, fmt.Sprint(n), "2")
		}
	})
}

func TestRebuildLeavesAnOwedKeyToHandBack(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		require.NoError(t, r.stores[0].SetRaw(r.ctx, "k", []byte("1")))
		r.faults[0].FailWrites(nil)
		r.set("k", "2") // on the second only
		r.faults[0].FailWrites(nil)
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), nil))
		r.holds(1, "k", "2")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "2")
		r.holds(1, "k", "2")
	})
}

func TestRebuildThatFailsSaysWhyAndCanBeCalledAgain(t *testing.T) {
	inRig(t, 2, both(unbreakable, incompleteMirror), func(r *rig) {
		for n := range 50 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("v")))
		}
		full := errors.New("disk full")
		r.faults[1].FailWrites(full)
		err := r.kv.Rebuild(r.ctx, r.name(1), nil)
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, r.name(1))
		r.faults[1].Up()
		r.rest() // an ambiguous copy is handed back
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), nil))
		r.holds(1, "49", "v")

		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		require.ErrorIs(t, r.kv.Rebuild(ctx, r.name(1), nil), context.Canceled)
	})
}

func TestRebuildIsRefusedWhereItHasNoMeaning(t *testing.T) {
	inRig(t, 2, incompleteMirror, func(r *rig) {
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, "nobody", nil), "nobody")
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, r.name(0), nil), "first member")
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, r.name(1), nil), "drained")
		require.NoError(t, r.kv.Release(r.name(0)))
		r.faults[0].Latency(100 * time.Millisecond)
		go func() { _ = r.kv.Rebuild(r.ctx, r.name(1), nil) }()
		time.Sleep(10 * time.Millisecond)
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, r.name(1), nil), "already")
		time.Sleep(time.Second)
		require.NoError(t, r.kv.Close())
		require.ErrorIs(t, r.kv.Rebuild(r.ctx, r.name(1), nil), resilient.ErrClosed)
	})
	inRig(t, 2, func(cfg *failover.Config) { cfg.Writes, cfg.Complete = failover.Handoff, false }, func(r *rig) {
		require.ErrorContains(t, r.kv.Rebuild(r.ctx, r.name(1), nil), "handoff")
	})
}
