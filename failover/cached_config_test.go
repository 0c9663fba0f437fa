package failover_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestS32_WithCacheNamesEveryFaultAtOnce(t *testing.T) {
	c, err := failover.WithCache(nil, nil, failover.CacheConfig{MaxStale: -1, FillEvery: -2, MaxValue: -3})
	require.Nil(t, c)
	for _, want := range []string{
		"the store is nil", "the cache is nil",
		"CacheConfig.MaxStale: -1ns is negative", "CacheConfig.FillEvery: -2ns is negative", "CacheConfig.MaxValue: -3 is negative",
	} {
		require.ErrorContains(t, err, want)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 5)
}

func TestWithCacheRefusesATypedNil(t *testing.T) {
	var none *memkv.KV
	_, err := failover.WithCache(none, openMem(t), failover.CacheConfig{})
	require.ErrorContains(t, err, "the store is nil")
	_, err = failover.WithCache(openMem(t), none, failover.CacheConfig{})
	require.ErrorContains(t, err, "the cache is nil")
}

func TestWithCacheRefusesTheStoreAsItsOwnCache(t *testing.T) {
	same := openMem(t)
	store, err := resilient.Wrap(kvtest.NewFault(same), resilient.Config{})
	require.NoError(t, err)
	group := groupOf(t, failover.Config{}, openMem(t), resilient.KeepOpen(same))
	cached := withCache(t, openMem(t), resilient.KeepOpen(same), failover.CacheConfig{})
	for name, kv := range map[string]resilient.KVWithHealth{
		"itself": same, "decorated": store, "a member": group, "another cache": resilient.KeepOpen(cached),
	} {
		_, err := failover.WithCache(kv, resilient.NoHealth(same), failover.CacheConfig{})
		require.ErrorContains(t, err, "the same store", name)
	}
	require.NoError(t, same.Health(t.Context()), "a pair that was refused stays open")
	require.NoError(t, errors.Join(cached.Close(), group.Close(), store.Close()))
}

// sick is a store whose Close fails.
type sick struct {
	resilient.KVWithHealth
	err   error
	panic bool
}

func (s *sick) Close() error {
	if s.panic {
		panic(s.err)
	}
	return errors.Join(s.KVWithHealth.Close(), s.err)
}

func TestCloseOfACachedStoreClosesBothAndTellsWhatBothSaid(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	for _, panics := range []bool{false, true} {
		kv, cache := openMem(t), openMem(t)
		c := withCache(t, &sick{kv, first, panics}, &sick{cache, second, panics}, failover.CacheConfig{})
		for range 2 {
			err := c.Close()
			if panics {
				require.Equal(t, 2, strings.Count(err.Error(), "panicked"))
				continue
			}
			require.ErrorIs(t, err, first)
			require.ErrorIs(t, err, second)
		}
		if !panics {
			require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrClosed)
			require.ErrorIs(t, cache.Health(t.Context()), resilient.ErrClosed)
		}
	}
}

func TestWhatWasWrittenLastIsInTheCacheAfterClose(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.cache.Latency(20 * time.Millisecond)
		for _, key := range []string{"a", "b", "c"} {
			r.set(key, "v")
		}
		memory := r.cache.Unwrap()
		cache := kvtest.NewFault(resilient.KeepOpen(memory))
		cache.Latency(20 * time.Millisecond)
		again := withCache(r.t, resilient.KeepOpen(r.store), cache, failover.CacheConfig{})
		require.NoError(t, again.SetRaw(r.ctx, "last", []byte("v")))
		began := time.Now()
		require.NoError(t, again.Close())
		require.Equal(t, 20*time.Millisecond, time.Since(began))
		_, err := memory.GetRaw(r.ctx, "last")
		require.NoError(t, err)
	})
}

func TestASlowCacheDelaysCloseByHalfASecondAtMost(t *testing.T) {
	for name, slow := range map[string]func(*kvtest.Fault){
		"hangs":   (*kvtest.Fault).HangIgnoringContext,
		"is slow": func(f *kvtest.Fault) { f.Latency(40 * time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
				slow(r.cache)
				for i := range 200 { // 8 at a time
					r.set(fmt.Sprintf("k%d", i), "v")
				}
				began := time.Now()
				require.NoError(t, r.kv.Close())
				require.LessOrEqual(t, time.Since(began), 500*time.Millisecond)
				require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", nil), resilient.ErrClosed)
			})
		})
	}
}
