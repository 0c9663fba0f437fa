package failover

import "github.com/holdfastkv/holdfast/resilient"

// WithCacheStripes is WithCache with so few stripes that keys share them.
func WithCacheStripes(kv resilient.KVWithHealth, cache resilient.KV, cfg CacheConfig, stripes int) (*Cached, error) {
	return newCached(kv, cache, cfg, stripes)
}

// Waiting returns how many bytes wait for the cache.
func (c *Cached) Waiting() int64 { return c.queue.waiting.Load() }
