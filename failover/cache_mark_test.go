package failover

import (
	"testing"
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
