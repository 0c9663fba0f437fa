package failover_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestWhatIsTooOldIsLookedForOnce(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{MaxStale: time.Second}, func(r *cacheRig) {
		r.set("k", "v")
		time.Sleep(time.Minute)
		r.store.Down()
		before := r.cache.Calls()
		r.gone("k")
		require.Equal(t, before+1, r.cache.Calls())
	})
}

func TestOnlyAnOutageIsAnsweredFromTheCache(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		stale bool
	}{
		"refused":    {nil, true},
		"failed":     {errors.New("connection reset"), true},
		"invalid":    {resilient.ErrInvalidKey, false},
		"missing":    {resilient.ErrNotFound, false},
		"closed":     {resilient.ErrClosed, false},
		"rolledback": {&resilient.Error{Class: resilient.Conflict, Err: errors.New("deadlock")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
				r.set("k", "v")
				r.store.FailReads(c.err)
				if c.stale {
					r.stale("k", "v", 0)
					return
				}
				a := r.read("k")
				require.ErrorIs(t, a.err, c.err)
				require.Empty(t, a.value)
				require.False(t, a.Stale)
				require.Zero(t, r.events.Count(resilient.KindStale))
			})
		})
	}
}

func TestACallerWhoLeavesGetsNoStaleAnswer(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		r.store.Hang()
		for range 2 {
			ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
			_, err := r.kv.GetRaw(ctx, "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			values, err := r.kv.BatchGetRaw(ctx, []string{"k"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Nil(t, values)
			cancel()
		}
		require.Zero(t, r.events.Count(resilient.KindStale))
		r.stale("k", "v", 1200*time.Millisecond) // the store's own timeout is an outage
	})
}

// early is a store that is back before the timer of its caller's ctx has run,
// as drivers are that put the deadline on their socket.
type early struct{ resilient.KVWithHealth }

func (e early) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		time.Sleep(time.Until(deadline))
		return nil, errors.New("i/o timeout")
	}
	return e.KVWithHealth.GetRaw(ctx, key)
}

// untimed is a ctx whose timer is late.
type untimed struct {
	context.Context
	deadline time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

func TestADeadlineThatHasPassedIsTheCallersThoughItsTimerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := withCache(t, early{openMem(t)}, openMem(t), failover.CacheConfig{})
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
		_, err := c.GetRaw(untimed{t.Context(), time.Now().Add(time.Second)}, "k")
		require.ErrorContains(t, err, "i/o timeout")
		require.NoError(t, c.Close())
	})
}

func TestAMissRemovesWhatIsCached(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		for range 2 { // within FillEvery of the one before
			r.set("k", "v")
			require.NoError(t, r.store.Unwrap().Delete(r.ctx, "k"))
			require.ErrorIs(t, r.read("k").err, resilient.ErrNotFound)
		}
		synctest.Wait()
		_, err := r.cache.Unwrap().GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		r.store.Down()
		r.gone("k")
	})
}

func TestAMissInABatchRemovesWhatIsCached(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		require.NoError(t, r.store.Unwrap().Delete(r.ctx, "k"))
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"k"})
		require.NoError(t, err)
		require.Empty(t, values)
		r.store.Down()
		r.gone("k")
	})
}

// There is more than one thing that keeps the late fill out; here so many keys
// are gone that only the generation does.
func TestAReadThatIsLateDoesNotBringBackWhatAMissHasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTruth()
		fault := kvtest.NewFault(store)
		c, err := failover.WithCacheStripes(fault, openMem(t), failover.CacheConfig{}, 1)
		require.NoError(t, err)
		for _, key := range []string{"none1", "none2", "none3", "none4"} {
			_, err := c.GetRaw(t.Context(), key)
			require.ErrorIs(t, err, resilient.ErrNotFound)
		}
		value := "v"
		store.apply("v", "k", &value)
		store.setSlow(30*time.Millisecond, 0)
		var late sync.WaitGroup
		late.Go(func() {
			got, err := c.GetRaw(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "v", string(got))
		})
		time.Sleep(time.Millisecond)
		store.apply("gone", "k", nil)
		_, err = c.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		late.Wait()
		fault.Down()
		_, err = c.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NoError(t, c.Close())
	})
}

func TestAWriteIsNotServedUnlessItWasAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*kvtest.Fault)
		old  bool // the old value still is
	}{
		"refused":   {(*kvtest.Fault).Down, true},
		"ambiguous": {func(f *kvtest.Fault) { f.AckLost(1) }, false},
		"panics":    {func(f *kvtest.Fault) { f.PanicNext(1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
				r.set("k", "old")
				c.fail(r.store)
				require.Error(t, r.kv.SetRaw(r.ctx, "k", []byte("new")))
				r.store.Down()
				if c.old {
					r.stale("k", "old", 0)
				} else {
					r.gone("k")
				}
			})
		})
	}
}

func TestAStoreThatPanicsThroughTheCallLeavesNothingToServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := kvtest.NewFault(openMem(t)) // nothing guards it
		c := withCache(t, fault, openMem(t), failover.CacheConfig{})
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("old")))
		fault.PanicNext(1)
		require.Panics(t, func() { _ = c.SetRaw(t.Context(), "k", []byte("new")) })
		fault.Down()
		_, err := c.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NoError(t, c.Close())
	})
}

func TestADeletedKeyIsNotServed(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		for _, key := range []string{"a", "b", "c"} {
			r.set(key, "v")
		}
		require.NoError(t, r.kv.Delete(r.ctx, "a"))
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"b", "b", "none"}))
		r.store.Down()
		r.gone("a")
		r.gone("b")
		r.stale("c", "v", 0)
	})
}

func TestABatchIsServedIfEveryKeyIsCached(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": []byte("1"), "empty": nil}))
		time.Sleep(time.Second)
		r.set("b", "2")
		r.store.Down()
		time.Sleep(time.Second)

		var receipt resilient.Receipt
		values, err := r.kv.BatchGetRaw(resilient.WithReceipt(r.ctx, &receipt), []string{"a", "empty", "a", "b"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"a": []byte("1"), "b": []byte("2"), "empty": {}}, values)
		require.Equal(t, resilient.Receipt{Store: "mem", Stale: true, Age: 2 * time.Second}, receipt)
		told := r.events.Of(resilient.KindStale)
		require.Len(t, told, 1)
		require.Equal(t, resilient.OpBatchGet, told[0].Op)
		require.Equal(t, 2*time.Second, told[0].Age)

		values, err = r.kv.BatchGetRaw(resilient.WithReceipt(r.ctx, &receipt), []string{"a", "none"})
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.Nil(t, values)
		require.Equal(t, resilient.Receipt{}, receipt)
		require.Len(t, r.events.Of(resilient.KindStale), 1)
	})
}

// batchless is a store that refuses every batch.
type batchless struct {
	resilient.KVWithHealth
	resilient.Batcher
}

func (batchless) BatchGetRaw(context.Context, []string) (map[string][]byte, error) {
	return nil, resilient.ErrRefused
}

func TestABatchOfNothingIsNotServedStale(t *testing.T) {
	events := &kvtest.Recorder{}
	c := withCache(t, batchless{KVWithHealth: openMem(t)}, openMem(t), failover.CacheConfig{Observer: events})
	_, err := c.BatchGetRaw(t.Context(), nil)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.Zero(t, events.Count(resilient.KindStale))
	require.NoError(t, c.Close())
}

func TestAStaleReadWaitsForNoOtherKeyOfItsStripe(t *testing.T) {
	inCacheRigOf(t, 1, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		synctest.Wait()
		r.cache.Latency(30 * time.Millisecond)
		r.set("other", "v")
		synctest.Wait() // it is on its way to the cache
		r.store.Down()
		a := r.read("k")
		require.NoError(t, a.err)
		require.Equal(t, 30*time.Millisecond, a.Age)
	})
}

func TestListAndHealthAreTheStoresOwn(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		require.NoError(t, r.kv.Health(r.ctx))
		r.cache.Down()
		require.NoError(t, r.kv.Health(r.ctx))
		r.cache.Up()
		r.store.Down()
		_, err := r.kv.List(r.ctx, "")
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorIs(t, r.kv.Health(r.ctx), resilient.ErrUnavailable)
		require.Zero(t, r.events.Count(resilient.KindStale))
	})
}

// A group that cannot tell whether a key is missing has not answered: what is
// cached is better than an error.
func TestWhatAGroupIsUncertainOfIsServedStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := kvtest.NewFault(openMem(t))
		group := groupOf(t, failover.Config{Name: "pair"}, first, openMem(t))
		events := &kvtest.Recorder{}
		c := withCache(t, group, openMem(t), failover.CacheConfig{Observer: events})
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
		first.Down()
		_, err := group.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, failover.ErrUncertain)
		value, err := c.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(value))
		told := events.Of(resilient.KindStale)
		require.Len(t, told, 1)
		require.Equal(t, "pair", told[0].Store)
		require.NoError(t, c.Close())
	})
}

func TestAReceiptThatIsUsedAgainIsNoLongerStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := kvtest.NewFault(openMem(t)) // writes no Receipt
		c := withCache(t, fault, openMem(t), failover.CacheConfig{})
		var receipt resilient.Receipt
		ctx := resilient.WithReceipt(t.Context(), &receipt)
		require.NoError(t, c.SetRaw(ctx, "k", []byte("v")))
		require.Equal(t, resilient.Receipt{Store: "mem"}, receipt)
		stale := func() {
			t.Helper()
			fault.Down()
			_, err := c.GetRaw(ctx, "k")
			require.NoError(t, err)
			require.True(t, receipt.Stale)
			fault.Up()
		}
		for _, call := range []func() error{
			func() error { _, err := c.GetRaw(ctx, "k"); return err },
			func() error { _, err := c.BatchGetRaw(ctx, []string{"k"}); return err },
			func() error { _, err := c.List(ctx, ""); return err },
			func() error { return c.SetRaw(ctx, "k", []byte("v")) },
		} {
			stale()
			require.NoError(t, call())
			require.Equal(t, resilient.Receipt{Store: "mem"}, receipt)
		}
		require.NoError(t, c.Close())
	})
}
