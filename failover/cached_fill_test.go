package failover_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestReadsFillAKeyOnceInEachFillEvery(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{FillEvery: 10 * time.Second}, func(r *cacheRig) {
		fills := func() int { synctest.Wait(); return r.cache.Count(resilient.OpSet) }
		for _, key := range []string{"a", "b"} {
			r.put(key, "v")
		}
		for i := range 30 {
			var readers sync.WaitGroup
			for range 20 {
				readers.Go(func() { r.read("a"); r.read("b") })
			}
			readers.Wait()
			_, err := r.kv.BatchGetRaw(r.ctx, []string{"a", "b", "a"})
			require.NoError(t, err)
			require.Equal(t, 2+2*(i/10), fills())
			time.Sleep(time.Second)
		}
	})
}

func TestMissesLookIntoTheCacheOnceInEachFillEvery(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		for range 100 {
			require.ErrorIs(t, r.read("none").err, resilient.ErrNotFound)
		}
		synctest.Wait()
		require.Equal(t, 1, r.cache.Calls(), "what is not there is not written")
		time.Sleep(time.Second)
		require.ErrorIs(t, r.read("none").err, resilient.ErrNotFound)
		synctest.Wait()
		require.Equal(t, 2, r.cache.Calls())
	})
}

// Keys that are written or missed must not use up the room of those that are
// read.
func TestManyWritesAndMissesDoNotKeepAKeyFromBeingFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.NewFault(openMem(t))
		c, err := failover.WithCacheStripes(store, openMem(t), failover.CacheConfig{FillEvery: time.Hour}, 1)
		require.NoError(t, err)
		require.NoError(t, store.Unwrap().SetRaw(t.Context(), "k", []byte("v")))
		for i := range 100 {
			require.NoError(t, c.SetRaw(t.Context(), fmt.Sprintf("written%d", i), nil))
			_, err := c.GetRaw(t.Context(), fmt.Sprintf("none%d", i))
			require.ErrorIs(t, err, resilient.ErrNotFound)
		}
		_, err = c.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		store.Down()
		value, err := c.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(value))
		require.NoError(t, c.Close())
	})
}

// A stripe remembers eight keys; one more waits until a place is free.
func TestAKeyIsFilledInThePlaceOfOneThatIsDueAgain(t *testing.T) {
	inCacheRigOf(t, 1, failover.CacheConfig{}, func(r *cacheRig) {
		for i := range 9 {
			key := fmt.Sprint(i)
			r.put(key, "v")
			r.fresh(key, "v")
			synctest.Wait()
		}
		require.Equal(t, 8, r.cache.Count(resilient.OpSet))
		time.Sleep(time.Second)
		r.fresh("8", "v")
		synctest.Wait()
		require.Equal(t, 9, r.cache.Count(resilient.OpSet))
	})
}

func TestACacheThatMisbehavesDelaysAndFailsNoCallOfAHealthyStore(t *testing.T) {
	for name, misbehave := range map[string]func(*kvtest.Fault){
		"hangs":           (*kvtest.Fault).Hang,
		"hangs for ever":  (*kvtest.Fault).HangIgnoringContext,
		"is slow":         func(f *kvtest.Fault) { f.Latency(10 * time.Second) },
		"is a bit slow":   func(f *kvtest.Fault) { f.Latency(40 * time.Millisecond) },
		"is down":         (*kvtest.Fault).Down,
		"fails":           func(f *kvtest.Fault) { f.FailReads(errors.New("x")); f.FailWrites(errors.New("x")) },
		"panics":          func(f *kvtest.Fault) { f.PanicNext(1 << 30) },
		"ends goroutines": func(f *kvtest.Fault) { f.GoexitNext(1 << 30) },
	} {
		t.Run(name, func(t *testing.T) {
			inCacheRig(t, failover.CacheConfig{FillEvery: time.Nanosecond}, func(r *cacheRig) {
				misbehave(r.cache)
				before, most := runtime.NumGoroutine(), 0
				for round := range 8 {
					began := time.Now()
					for i := range 30 {
						key := fmt.Sprintf("%d-%d", round, i)
						r.set(key, "v")
						r.fresh(key, "v")
						require.ErrorIs(t, r.read("none"+key).err, resilient.ErrNotFound)
						require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{key: []byte("w"), key + "+": nil}))
						values, err := r.kv.BatchGetRaw(r.ctx, []string{key, key + "+"})
						require.NoError(t, err)
						require.Len(t, values, 2)
						require.NoError(t, r.kv.Delete(r.ctx, key))
					}
					require.Zero(t, time.Since(began), "a call waited for the cache")
					most = max(most, runtime.NumGoroutine()-before)
					time.Sleep(20 * time.Millisecond)
				}
				require.LessOrEqual(t, most, 8+64+4, "goroutines")
			})
		})
	}
}

func TestACacheThatHangsDelaysAnErrorBy50msAndOnlyAFewTimes(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		synctest.Wait()
		r.store.Down()
		r.cache.HangIgnoringContext()
		began := time.Now()
		for range 1000 {
			one := time.Now()
			r.gone("k")
			require.LessOrEqual(t, time.Since(one), 50*time.Millisecond)
		}
		require.Equal(t, 5*50*time.Millisecond, time.Since(began))
	})
}

func TestS18_WhatWaitsForASlowCacheIsBounded(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.cache.HangIgnoringContext()
		value := make([]byte, 1<<20)
		for i := range 200 {
			require.NoError(t, r.kv.SetRaw(r.ctx, fmt.Sprintf("k%d", i), value))
			require.LessOrEqual(t, r.kv.Waiting(), int64(32<<20))
		}
		require.Greater(t, r.kv.Waiting(), int64(20<<20), "the test had nothing wait")
		time.Sleep(time.Second)
		require.Zero(t, r.kv.Waiting())
	})
}

// What the cache has no room to take must not leave the old value behind.
func TestAWriteThatFindsTheQueueFullLeavesNothingToServe(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		keys := make([]string, 60)
		for i := range keys {
			keys[i] = fmt.Sprintf("k%d", i)
			r.set(keys[i], "old")
		}
		synctest.Wait()
		r.cache.Latency(time.Millisecond)
		for _, key := range keys {
			require.NoError(t, r.kv.SetRaw(r.ctx, key, slices.Repeat([]byte("n"), 1<<20)))
		}
		r.store.Down()
		served := 0
		for _, key := range keys {
			if a := r.read(key); a.err == nil {
				require.NotEqual(t, "old", a.value)
				served++
			}
		}
		require.Positive(t, served)
		require.Less(t, served, len(keys), "the queue was never full")
	})
}

func TestS18_AValueThatIsTooLargeIsNotCachedAndRemovesTheOldOne(t *testing.T) {
	small, err := memkv.New(memkv.Config{MaxValue: 37 + 10})
	require.NoError(t, err)
	defer small.Close()
	unlimited := func() resilient.KV { return openMem(t) }
	for name, c := range map[string]struct {
		cfg   failover.CacheConfig
		cache func() resilient.KV
	}{
		"MaxValue":                    {failover.CacheConfig{MaxValue: 10}, unlimited},
		"the cache's limit":           {failover.CacheConfig{}, func() resilient.KV { return resilient.KeepOpen(small) }},
		"a limit that it hides":       {failover.CacheConfig{}, func() resilient.KV { return plain{resilient.KeepOpen(small)} }},
		"the default, with no limits": {failover.CacheConfig{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			most := 10
			if c.cache == nil {
				c.cache, most = unlimited, 1<<20
			}
			synctest.Test(t, func(t *testing.T) {
				store := kvtest.NewFault(openMem(t))
				kv := withCache(t, store, c.cache(), c.cfg)
				fits, over := make([]byte, most), make([]byte, most+1)
				get := func(value []byte) error {
					defer store.Up()
					store.Down()
					got, err := kv.GetRaw(t.Context(), "k")
					if err == nil {
						require.Equal(t, len(value), len(got))
					}
					return err
				}
				require.NoError(t, kv.SetRaw(t.Context(), "k", fits))
				require.NoError(t, get(fits))
				require.NoError(t, kv.SetRaw(t.Context(), "k", over))
				require.Error(t, get(over), "written")
				require.NoError(t, kv.SetRaw(t.Context(), "k", fits))
				time.Sleep(time.Second)
				require.NoError(t, get(fits))
				require.NoError(t, store.Unwrap().SetRaw(t.Context(), "k", over))
				_, err := kv.GetRaw(t.Context(), "k")
				require.NoError(t, err)
				require.Error(t, get(over), "read")
				require.NoError(t, kv.Close())
			})
		})
	}
}

func TestAKeyThatTheCacheCannotHoldIsServedByTheStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		short, err := memkv.New(memkv.Config{MaxKey: 4})
		require.NoError(t, err)
		store := kvtest.NewFault(openMem(t))
		c, err := failover.WithCacheStripes(store, short, failover.CacheConfig{}, 1)
		require.NoError(t, err)
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
		require.NoError(t, c.SetRaw(t.Context(), "longer", []byte("v")))
		synctest.Wait()
		require.NoError(t, c.Delete(t.Context(), "longer"))
		_, err = c.GetRaw(t.Context(), "longer")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		store.Down()
		_, err = c.GetRaw(t.Context(), "longer")
		require.ErrorIs(t, err, resilient.ErrRefused)
		value, err := c.GetRaw(t.Context(), "k")
		require.NoError(t, err, "a key that does not fit takes no other one's entry with it")
		require.Equal(t, "v", string(value))
		require.NoError(t, c.Close())
	})
}

func TestAKeyThatNoCacheTakesCostsNoOtherItsEntry(t *testing.T) {
	for _, key := range []string{"", "a\x00b"} {
		synctest.Test(t, func(t *testing.T) {
			store := &anyKey{KVWithHealth: openMem(t)}
			c, err := failover.WithCacheStripes(store, openMem(t), failover.CacheConfig{}, 1)
			require.NoError(t, err)
			require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
			require.NoError(t, c.SetRaw(t.Context(), key, []byte("v")))
			synctest.Wait()
			store.away = true
			value, err := c.GetRaw(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "v", string(value))
			require.NoError(t, c.Close())
		})
	}
}

// anyKey is a store that takes every key, and keeps none.
type anyKey struct {
	resilient.KVWithHealth
	away bool
}

func (*anyKey) SetRaw(context.Context, string, []byte) error { return nil }

func (s *anyKey) GetRaw(context.Context, string) ([]byte, error) {
	if s.away {
		return nil, resilient.ErrRefused
	}
	return nil, resilient.ErrNotFound
}

// crossing is a cache that lets something happen between finding a value and
// answering with it.
type crossing struct {
	resilient.KV
	once func()
}

func (c *crossing) GetRaw(ctx context.Context, key string) ([]byte, error) {
	value, err := c.KV.GetRaw(ctx, key)
	if cross := c.once; cross != nil {
		c.once = nil
		cross()
	}
	return value, err
}

func TestAWriteThatCrossesAStaleReadIsSeenByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, cache := kvtest.NewFault(openMem(t)), &crossing{KV: openMem(t)}
		c := withCache(t, store, cache, failover.CacheConfig{})
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("old")))
		synctest.Wait()
		store.Down()
		cache.once = func() {
			store.Up()
			require.NoError(t, c.SetRaw(t.Context(), "k", []byte("new")))
			synctest.Wait()
			store.Down()
		}
		value, err := c.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "new", string(value))
		require.NoError(t, c.Close())
	})
}
