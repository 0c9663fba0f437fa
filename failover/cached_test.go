package failover_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// cacheRig is a store behind a cache, both of which fail on command, in a
// bubble.
type cacheRig struct {
	t      *testing.T
	ctx    context.Context
	kv     *failover.Cached
	store  *kvtest.Fault
	cache  *kvtest.Fault
	events *kvtest.Recorder
}

// inCacheRig runs test with a guarded store and a cache in memory.
func inCacheRig(t *testing.T, cfg failover.CacheConfig, test func(*cacheRig)) {
	t.Helper()
	inCacheRigOf(t, 4096, cfg, test)
}

// inCacheRigOf is inCacheRig with so many stripes.
func inCacheRigOf(t *testing.T, stripes int, cfg failover.CacheConfig, test func(*cacheRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &cacheRig{
			t: t, ctx: t.Context(), events: &kvtest.Recorder{},
			store: kvtest.NewFault(openMem(t)), cache: kvtest.NewFault(openMem(t)),
		}
		store, err := resilient.Wrap(r.store, resilient.Config{Name: "primary", Timeout: time.Second})
		require.NoError(t, err)
		cfg.Observer = r.events
		r.kv, err = failover.WithCacheStripes(store, r.cache, cfg, stripes)
		require.NoError(t, err)
		defer func() { // wakes what hangs, whatever becomes of the test
			r.store.Up()
			r.cache.Up()
			require.NoError(t, r.kv.Close())
		}()
		test(r)
	})
}

func withCache(tb testing.TB, kv resilient.KVWithHealth, cache resilient.KV, cfg failover.CacheConfig) *failover.Cached {
	tb.Helper()
	c, err := failover.WithCache(kv, cache, cfg)
	require.NoError(tb, err)
	return c
}

// read is an answer of GetRaw and what its Receipt says.
type cacheAnswer struct {
	value string
	err   error
	resilient.Receipt
}

func (r *cacheRig) read(key string) (a cacheAnswer) {
	value, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &a.Receipt), key)
	a.value, a.err = string(value), err
	return a
}

// fresh demands that the store answers with value.
func (r *cacheRig) fresh(key, value string) {
	r.t.Helper()
	a := r.read(key)
	require.NoError(r.t, a.err)
	require.Equal(r.t, value, a.value)
	require.Equal(r.t, resilient.Receipt{Store: "primary"}, a.Receipt)
}

// stale demands that the cache answers with value, of that age.
func (r *cacheRig) stale(key, value string, age time.Duration) {
	r.t.Helper()
	before := r.events.Count(resilient.KindStale)
	a := r.read(key)
	require.NoError(r.t, a.err)
	require.Equal(r.t, value, a.value)
	require.Equal(r.t, resilient.Receipt{Store: "mem", Stale: true, Age: age}, a.Receipt)
	told := r.events.Of(resilient.KindStale)
	require.Len(r.t, told, before+1)
	e := told[before]
	require.ErrorIs(r.t, e.Err, resilient.ErrUnavailable)
	require.Equal(r.t, resilient.Event{
		Kind: resilient.KindStale, Time: time.Now(), Store: "primary", Op: resilient.OpGet, Age: age, Stale: true, Err: e.Err,
	}, e)
}

// gone demands that nobody answers.
func (r *cacheRig) gone(key string) {
	r.t.Helper()
	a := r.read(key)
	require.ErrorIs(r.t, a.err, resilient.ErrUnavailable)
	require.Empty(r.t, a.value)
	require.Equal(r.t, resilient.Receipt{}, a.Receipt)
}

func (r *cacheRig) set(key, value string) {
	r.t.Helper()
	require.NoError(r.t, r.kv.SetRaw(r.ctx, key, []byte(value)))
}

// put writes to the store past the cache, as another process does.
func (r *cacheRig) put(key, value string) {
	r.t.Helper()
	require.NoError(r.t, r.store.Unwrap().SetRaw(r.ctx, key, []byte(value)))
}

func TestAValueThatWasReadIsServedStaleWhileTheStoreIsAway(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{MaxStale: time.Minute}, func(r *cacheRig) {
		r.put("k", "v")
		r.fresh("k", "v")
		r.store.Down()
		r.stale("k", "v", 0)
		time.Sleep(time.Minute)
		r.stale("k", "v", time.Minute)
		time.Sleep(time.Nanosecond)
		r.gone("k")
	})
}

func TestAValueThatWasWrittenIsServedStaleWhileTheStoreIsAway(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.set("k", "v")
		r.store.Down()
		r.stale("k", "v", 0)
		time.Sleep(3 * time.Second)
		r.stale("k", "v", 3*time.Second)
		r.gone("other")
	})
}

func TestCachedStoresObeyTheContract(t *testing.T) {
	cached := func(open func(testing.TB) resilient.KVWithHealth, cache func(testing.TB) resilient.KVWithHealth) kvtest.Harness {
		return kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			return withCache(tb, open(tb), cache(tb), failover.CacheConfig{})
		}}
	}
	t.Run("memory", func(t *testing.T) { kvtest.Run(t, cached(openMem, openMem)) })
	t.Run("bolt", func(t *testing.T) { kvtest.Run(t, cached(openBolt, openMem)) })
	t.Run("no batches", func(t *testing.T) { kvtest.Run(t, cached(openPlain, openPlain)) })
	t.Run("the cache is down", func(t *testing.T) {
		kvtest.Run(t, cached(openMem, func(tb testing.TB) resilient.KVWithHealth {
			down := kvtest.NewFault(openMem(tb))
			down.Down()
			return down
		}))
	})
	t.Run("the cache is full", func(t *testing.T) {
		kvtest.Run(t, cached(openMem, func(tb testing.TB) resilient.KVWithHealth {
			kv, err := memkv.New(memkv.Config{MaxBytes: 1000})
			require.NoError(tb, err)
			return kv
		}))
	})
}

// plain is a store that knows no batches, limits or classes.
type plain struct{ resilient.KVWithHealth }

func openPlain(tb testing.TB) resilient.KVWithHealth { return plain{openMem(tb)} }
