// Package memkv is a store in memory: the cache behind failover.WithCache, a
// member of last resort, and the reference that other stores are tested
// against.
//
//	cache, err := memkv.New(memkv.Config{MaxBytes: 64 << 20})
//	...
//	prices, err := failover.WithCache(store, cache, failover.CacheConfig{}) // closes both
//
// Keys and values live in a map behind one lock; nothing outlives the process.
// The package takes every key of the contract (1 to 512 bytes of valid UTF-8
// without control characters), copies values on their way in and out, applies
// each batch as one step, and never calls anything outside of this process.
//
// Config.MaxBytes bounds what it holds: the least recently used keys go first,
// kept in order by github.com/hashicorp/golang-lru/v2. A store with a bound is
// a cache: a key that was set can be gone again.
package memkv
