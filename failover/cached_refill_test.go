package failover_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// What the cache has lost or must not serve any more is filled by the next read,
// however short a time ago the key was filled.
func TestRegression_AKeyThatHadToLeaveTheCacheWasNotFilledForALongTime(t *testing.T) {
	for name, leave := range map[string]func(r *cacheRig){
		"an ambiguous write": func(r *cacheRig) {
			r.store.AckLost(1)
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("v")), resilient.ErrAmbiguous)
		},
		"an ambiguous write of a key that was gone": func(r *cacheRig) {
			require.NoError(t, r.store.Unwrap().Delete(r.ctx, "k"))
			require.ErrorIs(t, r.read("k").err, resilient.ErrNotFound)
			r.store.AckLost(1)
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("v")), resilient.ErrAmbiguous)
		},
		"an ambiguous write of another key": func(r *cacheRig) {
			r.store.AckLost(1)
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, "other", []byte("v")), resilient.ErrAmbiguous)
		},
		"two writes at once": func(r *cacheRig) {
			r.store.Latency(time.Millisecond)
			var writes sync.WaitGroup
			for range 2 {
				writes.Go(func() { assert.NoError(r.t, r.kv.SetRaw(r.ctx, "k", []byte("v"))) })
			}
			writes.Wait()
		},
		"a write that the cache failed to take": func(r *cacheRig) {
			r.cache.FailWrites(errors.New("x"))
			r.set("k", "v")
		},
		"a refused write that crossed a fill": func(r *cacheRig) {
			time.Sleep(time.Hour)
			r.cache.Latency(time.Millisecond)
			r.set("other", "v") // the cache is busy with it
			r.fresh("k", "v")
			r.store.Down()
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("w")), resilient.ErrRefused)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inCacheRigOf(t, 1, failover.CacheConfig{FillEvery: time.Hour, MaxStale: time.Minute}, func(r *cacheRig) {
				r.put("k", "v")
				r.fresh("k", "v")
				synctest.Wait()
				leave(r)
				r.store.Up()
				time.Sleep(10 * time.Millisecond)
				r.cache.Up()
				time.Sleep(time.Minute) // too old for what was stored before
				r.fresh("k", "v")
				synctest.Wait()
				r.store.Down()
				r.stale("k", "v", 0)
			})
		})
	}
}

// A cache that fails is not asked more often than one that works.
func TestAFillOrALookThatFailedIsNotRepeatedAtEachRead(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		r.cache.FailReads(errors.New("x"))
		r.cache.FailWrites(errors.New("x"))
		r.put("k", "v")
		for i := range 2 { // five failures in a row would open the breaker
			for range 100 {
				r.fresh("k", "v")
				require.ErrorIs(t, r.read("none").err, resilient.ErrNotFound)
				synctest.Wait()
			}
			require.Equal(t, 2*(i+1), r.cache.Calls())
			time.Sleep(time.Second)
		}
	})
}
