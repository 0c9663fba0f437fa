package failover

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// cacheTimeout bounds each call of the cache.
	cacheTimeout = 50 * time.Millisecond
	// cacheDown is the longest time for which a cache that failed is left alone.
	cacheDown = 5 * time.Second
	// cacheStripes is how many stripes the keys share.
	cacheStripes = 4096
	// cacheDrain is how long Close waits for values on their way to the cache.
	cacheDrain = 500 * time.Millisecond
)

// Cached is a store with a cache that answers reads while the store is
// unavailable. Make it with WithCache; it is safe for concurrent use.
type Cached struct {
	kv     resilient.KVWithHealth
	batch  resilient.Batcher // kv's own; nil: key by key
	own    func(error) resilient.Class
	limits resilient.Limits // of kv
	name   string           // of kv
	cfg    CacheConfig

	cache     *resilient.Store // never waits longer than cacheTimeout, whatever the cache does
	cacheName string

	seed    maphash.Seed
	stripes []cacheStripe
	queue   cacheQueue
	life    uint64    // tells entries of this Cached from all others
	start   time.Time // of that life
	ctx     context.Context
	cancel  context.CancelFunc

	closing atomic.Bool
	ended   chan struct{} // closed when Close has run
	closed  error         // what it returns; read after ended
}

var (
	_ resilient.KVWithHealth = (*Cached)(nil)
	_ resilient.Batcher      = (*Cached)(nil)
	_ resilient.Classifier   = (*Cached)(nil)
	_ resilient.Limited      = (*Cached)(nil)
)

// WithCache returns kv with answers from cache for reads that kv cannot serve.
// Reads of kv fill the cache; while kv is unavailable, GetRaw and BatchGetRaw
// answer with what is cached and not older than CacheConfig.MaxStale. Such an
// answer is marked in the Receipt (resilient.WithReceipt) and told as a Stale
// event. Where nothing fit is cached, and for List, writes, the caller's own
// cancellation and everything else that is no outage, kv's error stands. One
// key of a batch that is not cached fails the whole batch.
//
// A process never reads a value through WithCache that is older than its own
// last acknowledged write of the key, whatever kv does and however cache fails: a
// key is not served from the cache from before its write is sent until the cache
// has the new value, and not at all where a write may have been applied or the
// cache failed, until the next read of kv has filled it. A value's age counts
// from before kv was asked for it. A miss in kv removes what is cached.
//
// kv should be a *resilient.Store or a *KV: something has to end calls that
// hang before the store can be called unavailable, and before the caller's ctx
// does. Put WithCache around a group, not a Cached into one, which would take a
// stale answer for the member's own. cache may be any store that keeps or loses
// what it has acknowledged; memkv with MaxBytes suits, and one on disk keeps its
// answers over a restart. One that has come back with values which it had
// replaced, from a snapshot or a replica that lagged, is to be emptied first. It
// holds every value that is read or written, in the clear, and should be used for
// nothing else. Processes may share one if their clocks agree.
//
// The cache never delays or fails a call of a kv that works. It is filled in the
// background, of which the caller sees a copy of the value being made, by at most
// eight goroutines; its calls are given 50 ms each, at most 64 are under way or
// left behind, and after five failures in a row it is left alone for 1 to 5 s. A
// read that the cache has to answer waits for it no longer than 50 ms. A Cached
// takes about 1 MiB for itself, and up to 32 MiB for values on their way to a
// slow cache.
//
// Cached owns both stores: Close closes them (see resilient.KeepOpen). When
// WithCache fails they are left as they were, and the error lists everything
// that is wrong.
func WithCache(kv resilient.KVWithHealth, cache resilient.KV, cfg CacheConfig) (*Cached, error) {
	return newCached(kv, cache, cfg, cacheStripes)
}

// newCached is WithCache with a number of stripes, a power of two.
func newCached(kv resilient.KVWithHealth, cache resilient.KV, cfg CacheConfig, stripes int) (*Cached, error) {
	bounded := resilient.NoHealth(cache)
	errs := append(cfg.faults(), cachePairFaults(kv, bounded)...)
	if err := join(errs); err != nil {
		return nil, err
	}
	c := &Cached{
		kv: kv, name: nameOf(kv), cfg: cfg.withDefaults(), cacheName: nameOf(cache),
		seed: maphash.MakeSeed(), stripes: make([]cacheStripe, stripes), life: rand.Uint64(), start: time.Now(), //#nosec G404 -- an identity among processes, not a secret
		ended: make(chan struct{}),
	}
	c.batch, _ = kv.(resilient.Batcher)
	if k, ok := kv.(resilient.Classifier); ok {
		c.own = k.Classify
	}
	if l, ok := kv.(resilient.Limited); ok {
		c.limits = l.Limits()
	}
	guarded, err := resilient.Wrap(resilient.Detach(bounded, 0), resilient.Config{
		Name: c.cacheName, Timeout: cacheTimeout, LongTimeout: cacheTimeout,
		Breaker: breaker.Config{MaxOpenFor: cacheDown},
		Probe:   resilient.Probe{Interval: -1},
	})
	if err != nil {
		return nil, fmt.Errorf("failover: the cache: %w", err)
	}
	c.cache = guarded
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// List is the store's: no List is cached.
func (c *Cached) List(ctx context.Context, prefix string) ([]string, error) {
	r := receipt(ctx)
	if c.closing.Load() {
		return nil, resilient.ErrClosed
	}
	keys, err := c.kv.List(ctx, prefix)
	c.served(r, err)
	return keys, err
}

// Health is the store's: what is cached makes nobody healthy.
func (c *Cached) Health(ctx context.Context) error {
	if c.closing.Load() {
		return resilient.ErrClosed
	}
	return c.kv.Health(ctx)
}

// Unwrap returns the store, for looking: what is written through it is not
// known to the cache.
func (c *Cached) Unwrap() resilient.KVWithHealth { return c.kv }

// Classify answers as the store does.
func (c *Cached) Classify(err error) resilient.Class {
	if c.own == nil {
		return resilient.OK
	}
	return c.own(err)
}

// Limits are the store's.
func (c *Cached) Limits() resilient.Limits { return c.limits }

// Close closes the store, gives values on their way to the cache up to 500 ms
// to get there, and closes the cache. It returns what both returned; every call
// gets the same, but nil at once inside a breaker's OnChange while another is
// under way. Later calls return ErrClosed. Close waits for its goroutines,
// but not for a call of a cache that ignores its context.
func (c *Cached) Close() error {
	if c.closing.Swap(true) {
		return awaitClosed(c.ended, &c.closed)
	}
	defer close(c.ended)
	func() {
		defer func() { c.closed = errors.Join(c.closed, c.closeCache()) }()
		c.closed = closeContained(c.kv)
	}()
	return c.closed
}

// closeCache ends the goroutines that fill the cache, then closes it.
func (c *Cached) closeCache() error {
	done := make(chan struct{})
	go func() {
		c.queue.close()
		close(done)
	}()
	patience := time.NewTimer(cacheDrain)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
	c.cancel()
	<-done // soon: no call of the cache goes on without c.ctx
	return c.cache.Close()
}

// age returns how long c has lived at the time t, in nanoseconds.
func (c *Cached) age(t time.Time) int64 { return int64(t.Sub(c.start)) }

// stripe returns the one of key.
func (c *Cached) stripe(key string) *cacheStripe {
	return &c.stripes[maphash.String(c.seed, key)&uint64(len(c.stripes)-1)] //#nosec G115 -- a power of two
}

// class returns what err, which the store returned, means.
func (c *Cached) class(err error) resilient.Class {
	if err == nil || errors.Is(err, resilient.ErrNotFound) {
		return classOf(err)
	}
	if c.own != nil {
		if class := c.own(err); class != resilient.OK {
			return class
		}
	}
	return classOfCall(err)
}

// receipt returns the Receipt of ctx, blank, or nil. The store need not be one
// that writes it.
func receipt(ctx context.Context) *resilient.Receipt {
	r := resilient.ReceiptFrom(ctx)
	if r != nil {
		*r = resilient.Receipt{}
	}
	return r
}

// served notes in r that the store answered.
func (c *Cached) served(r *resilient.Receipt, err error) {
	if r != nil && r.Store == "" && (err == nil || errors.Is(err, resilient.ErrNotFound)) {
		r.Store = c.name
	}
}
