package failover

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
)

// While too much waits for the cache each removal takes the entries of the whole
// stripe with it: a miss must not do so again and again.
func TestAMissThatFindsTheQueueFullIsNotedLikeAnyOther(t *testing.T) {
	kv, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	memory, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	c, err := WithCache(kv, memory, CacheConfig{FillEvery: time.Hour})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	s := c.stripe("k")
	c.queue.waiting.Store(cacheWaiting)
	c.missed(s, "k")
	floor := s.floor
	require.NotZero(t, floor)
	c.missed(s, "k")
	require.Equal(t, floor, s.floor)
	c.queue.waiting.Store(0)
}

// Nothing is brought to the cache then that would wake them.
func TestThoseWhoWaitForAFillThatHasBecomeVoidAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := &Cached{}, &cacheStripe{pending: map[string]cacheItem{"k": {fill: true}}, queued: true}
		s.gen.Store(1)
		done := make(chan bool, 1)
		go func() {
			_, ok := s.settled(t.Context(), "k")
			done <- ok
		}()
		synctest.Wait()
		require.Empty(t, done)
		_, _, ok := c.take(s)
		require.False(t, ok)
		synctest.Wait()
		require.Len(t, done, 1)
		require.True(t, <-done)
	})
}
