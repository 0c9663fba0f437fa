package failover_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// constantCached is a store that answers at once, guarded, behind a cache that
// has been filled and is not due to be again.
func constantCached(tb testing.TB) (kv *failover.Cached, store *resilient.Store) {
	store, err := resilient.Wrap(&constant{[]byte("v")}, resilient.Config{Timeout: -1})
	require.NoError(tb, err)
	kv = withCache(tb, store, openMem(tb), failover.CacheConfig{FillEvery: time.Hour})
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	_, err = kv.GetRaw(context.Background(), "key")
	require.NoError(tb, err)
	return kv, store
}

func TestGetThroughAFilledCacheDoesNotAllocate(t *testing.T) {
	kv, _ := constantCached(t)
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := kv.GetRaw(ctx, "key"); err != nil {
			t.Fatal(err)
		}
	}))
}

func BenchmarkCachedGet(b *testing.B) {
	cached, store := constantCached(b)
	benchmarkGets(b, getter{"store", store}, getter{"cached", cached})
}

// BenchmarkCachedFill is a Get of which each is due to fill the cache.
func BenchmarkCachedFill(b *testing.B) {
	kv := withCache(b, &constant{make([]byte, 100)}, openMem(b), failover.CacheConfig{FillEvery: 1})
	b.Cleanup(func() { require.NoError(b, kv.Close()) })
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key%d", i)
	}
	ctx, i := context.Background(), 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kv.GetRaw(ctx, keys[i%len(keys)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkCachedStale is a Get that the cache answers.
func BenchmarkCachedStale(b *testing.B) {
	fault := kvtest.NewFault(openMem(b))
	store, err := resilient.Wrap(fault, resilient.Config{})
	require.NoError(b, err)
	kv, ctx := withCache(b, store, openMem(b), failover.CacheConfig{MaxStale: time.Hour}), context.Background()
	b.Cleanup(func() { require.NoError(b, kv.Close()) })
	require.NoError(b, kv.SetRaw(ctx, "key", make([]byte, 100)))
	fault.Down()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kv.GetRaw(ctx, "key"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCachedSet(b *testing.B) {
	cached, store := constantCached(b)
	value := make([]byte, 100)
	for _, kv := range []struct {
		name string
		resilient.KV
	}{{"store", store}, {"cached", cached}} {
		b.Run(kv.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := kv.SetRaw(context.Background(), "key", value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
