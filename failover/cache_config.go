package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// CacheConfig configures WithCache. 0 is the default written beside the field;
// a negative value is an error.
type CacheConfig struct {
	// MaxStale is how old a value may be that is served in place of the
	// store's; 0 = 5m.
	MaxStale time.Duration
	// FillEvery is how often reads of one key fill the cache at most; 0 = 1s.
	// With more than MaxStale a key that is read all the time can still be too
	// old when it is needed.
	FillEvery time.Duration
	// MaxValue is the largest value that is cached, in bytes; 0 = 1 MiB. One
	// that is larger, or larger than the cache's own limit less 37 bytes, is
	// read and written like any other, and not cached.
	MaxValue int
	// Observer is told a Stale event for each call that the cache answered;
	// nil = nobody. What the store does is for its own Observer.
	Observer resilient.Observer
}

const (
	defaultMaxStale  = 5 * time.Minute
	defaultFillEvery = time.Second
	defaultMaxCached = 1 << 20
)

func (c CacheConfig) withDefaults() CacheConfig {
	if c.MaxStale == 0 {
		c.MaxStale = defaultMaxStale
	}
	if c.FillEvery == 0 {
		c.FillEvery = defaultFillEvery
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxCached
	}
	return c
}

// faults returns everything that is wrong with c.
func (c CacheConfig) faults() []error {
	var errs []error
	if c.MaxStale < 0 {
		errs = append(errs, fmt.Errorf("failover: CacheConfig.MaxStale: %v is negative", c.MaxStale))
	}
	if c.FillEvery < 0 {
		errs = append(errs, fmt.Errorf("failover: CacheConfig.FillEvery: %v is negative", c.FillEvery))
	}
	if c.MaxValue < 0 {
		errs = append(errs, fmt.Errorf("failover: CacheConfig.MaxValue: %d is negative", c.MaxValue))
	}
	return errs
}

// cachePairFaults returns everything that is wrong with a store and its cache.
func cachePairFaults(kv, cache resilient.KVWithHealth) []error {
	var errs []error
	if isNil(kv) {
		errs = append(errs, errors.New("failover: WithCache: the store is nil"))
	}
	if cache == nil {
		errs = append(errs, errors.New("failover: WithCache: the cache is nil"))
	}
	if len(errs) > 0 {
		return errs
	}
	root := resilient.Root(cache)
	for _, used := range rootsOf(kv) {
		if hasIdentity(root) && hasIdentity(used) && used == root {
			return []error{errors.New("failover: WithCache: the store and the cache are the same store")}
		}
	}
	return nil
}

// rootsOf returns the stores that kv decorates or joins in the end.
func rootsOf(kv resilient.KV) []resilient.KV {
	roots := []resilient.KV{resilient.Root(kv)}
	for range 32 {
		switch d := kv.(type) {
		case *Cached:
			roots = append(roots, resilient.Root(d.cache))
		case *KV:
			for _, p := range d.peers {
				roots = append(roots, rootsOf(p.m.Store())...)
			}
		}
		d, ok := kv.(interface{ Unwrap() resilient.KVWithHealth })
		if !ok {
			break
		}
		next := d.Unwrap()
		if isNil(next) {
			break
		}
		kv = next
	}
	return roots
}

// nameOf returns what kv is called.
func nameOf(kv resilient.KV) string {
	switch named := kv.(type) {
	case *KV:
		return named.cfg.Name
	case interface{ Name() string }:
		return named.Name()
	}
	return resilient.BackendName(kv)
}
