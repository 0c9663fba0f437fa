package failover_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestRegression_FlushNeverReturnsAfterClose(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.away(1)
		v.set("k", "v")
		v.crash()
		v.begin(mirror, 0, 1) // everything waits until calls of the last life are over
		v.faults[1].Unhealthy(errors.New("sick"))
		flushed := make(chan error, 1)
		go func() { flushed <- v.kv.Flush(context.Background()) }()
		time.Sleep(time.Second)
		_ = v.kv.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, flushed, 1)
		require.Error(t, <-flushed)
	})
}

// lateCtx is a context that does something when a call asks whether it has
// ended.
type lateCtx struct {
	context.Context
	asked func()
}

func (c lateCtx) Err() error {
	c.asked()
	return nil
}

func TestRegression_AWriteThatBeganJustBeforeCloseHangsForEver(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		var once atomic.Bool
		ctx := lateCtx{context.Background(), func() {
			if once.CompareAndSwap(false, true) {
				require.NoError(t, r.kv.Close())
			}
		}}
		written := make(chan error, 1)
		go func() { written <- r.kv.SetRaw(ctx, "k", nil) }()
		synctest.Wait()
		time.Sleep(time.Minute)
		require.Len(t, written, 1)
		err := <-written
		require.ErrorIs(t, err, resilient.ErrClosed)
		require.ErrorIs(t, err, resilient.ErrRefused)
	})
}

// The race detector sees it. In a program the process could end with a panic of
// the WaitGroup that Close waits for.
func TestRegression_AFlushThatLeavesACallBehindDuringCloseRacesWithIt(t *testing.T) {
	inRigOf(t, 2, both(unbreakable, func(cfg *failover.Config) {
		cfg.Journal = &durable{Journal: failover.MemoryJournal(0)} // Close begins to wait at once
	}), func(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return resilient.KeepOpen(resilient.Detach(kv, 0))
	}, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.set("k", "v")
		synctest.Wait() // the group's own hand-back comes again only after a while
		r.faults[0].Up()
		r.faults[0].HangIgnoringContext()
		flushed := make(chan error, 1)
		go func() { flushed <- r.kv.Flush(r.ctx) }()
		time.Sleep(timeout / 10)
		require.NoError(t, r.kv.Close())
		require.Error(t, <-flushed)
	})
}
