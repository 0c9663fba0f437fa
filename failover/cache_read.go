package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns the store's value of key or, while the store is unavailable,
// the one that is cached. The caller owns the slice.
func (c *Cached) GetRaw(ctx context.Context, key string) ([]byte, error) {
	r := receipt(ctx)
	if c.closing.Load() {
		return nil, resilient.ErrClosed
	}
	s := c.stripe(key)
	gen, at := s.gen.Load(), time.Now() // before the store is asked
	value, err := c.kv.GetRaw(ctx, key)
	if err == nil {
		c.saw(s, key, value, gen, at)
		c.served(r, nil)
		return value, nil
	}
	class := c.class(err)
	if class == resilient.Missing {
		c.missed(s, key)
		c.served(r, err)
	} else if unavailable(ctx, class, err) {
		if value, age, ok := c.cached(ctx, s, key); ok {
			c.stale(ctx, r, resilient.OpGet, age, err)
			return value, nil
		}
	}
	return nil, err
}

// BatchGetRaw returns the store's values of keys or, while the store is
// unavailable, the cached ones if all keys are cached.
func (c *Cached) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	r := receipt(ctx)
	if c.closing.Load() {
		return nil, resilient.ErrClosed
	}
	gens, at := make([]uint64, len(keys)), time.Now()
	for i, key := range keys {
		gens[i] = c.stripe(key).gen.Load()
	}
	values, err := c.batchGet(ctx, keys)
	switch {
	case err == nil:
		for i, key := range keys {
			if value, ok := values[key]; ok {
				c.saw(c.stripe(key), key, value, gens[i], at)
			} else {
				c.missed(c.stripe(key), key)
			}
		}
		c.served(r, nil)
		return values, nil
	case len(keys) > 0 && unavailable(ctx, c.class(err), err):
		if values, oldest, ok := c.cachedAll(ctx, keys); ok {
			c.stale(ctx, r, resilient.OpBatchGet, oldest, err)
			return values, nil
		}
	}
	return nil, err
}

// unavailable reports whether err, of that class, says that the store could not
// serve a read whose caller is still there.
func unavailable(ctx context.Context, class resilient.Class, err error) bool {
	switch class {
	case resilient.Refused, resilient.Failed:
		return !isOver(ctx) && !errors.Is(err, resilient.ErrClosed)
	}
	return false
}

// isOver reports whether ctx has ended. A driver that puts the deadline on its
// socket can be back before the context's own timer has run.
func isOver(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// bounded returns ctx for calls of the cache: the Receipt is not theirs.
func bounded(ctx context.Context) *resilient.TimeoutContext {
	return resilient.WithTimeout(resilient.WithReceipt(ctx, nil), cacheTimeout)
}

// cached returns the value and the age of key's entry if there is one that may
// be served now.
func (c *Cached) cached(ctx context.Context, s *cacheStripe, key string) (value []byte, age time.Duration, ok bool) {
	tctx := bounded(ctx)
	defer tctx.End()
	for range 3 { // as often as writes to the stripe come in between
		gen, ok := s.settled(tctx, key)
		if !ok {
			break
		}
		raw, err := c.cache.GetRaw(tctx, key)
		if err != nil {
			break
		}
		e, ok := openEnvelope(key, raw)
		if !ok {
			break
		}
		age, current, fit := c.judge(s, gen, e)
		if current && fit {
			return e.value, age, true
		}
		if current {
			break
		}
	}
	return nil, 0, false
}

// cachedAll returns the values of keys if each has an entry that may be served
// now, and the age of the oldest.
func (c *Cached) cachedAll(ctx context.Context, keys []string) (values map[string][]byte, oldest time.Duration, ok bool) {
	tctx := bounded(ctx)
	defer tctx.End()
	gens := make([]uint64, len(keys))
	for i, key := range keys {
		if gens[i], ok = c.stripe(key).settled(tctx, key); !ok {
			return nil, 0, false
		}
	}
	raws, err := c.cache.BatchGetRaw(tctx, keys)
	if err != nil {
		return nil, 0, false
	}
	values = make(map[string][]byte, len(raws))
	for i, key := range keys {
		e, ok := openEnvelope(key, raws[key])
		if !ok {
			return nil, 0, false
		}
		age, current, fit := c.judge(c.stripe(key), gens[i], e)
		if !current || !fit {
			return nil, 0, false
		}
		oldest = max(oldest, age)
		values[key] = e.value
	}
	return values, oldest, true
}

// judge says how old e is, which was read when its stripe was at generation
// gen, whether it is current, as far as that stripe goes, and fit to be served.
// Of two clocks the one that says more is right: the one was set back, or the
// other stood still while the machine slept.
func (c *Cached) judge(s *cacheStripe, gen uint64, e cacheEntry) (age time.Duration, current, fit bool) {
	s.mu.Lock()
	floor, floorAt := s.floor, s.floorAt
	current = s.gen.Load() == gen
	s.mu.Unlock()
	now := time.Now()
	age = time.Duration(now.UnixNano() - e.storedAt)
	if e.life == c.life || planted("cachelife") {
		age = max(age, time.Duration(c.age(now)-e.lifetime))
		fit = e.gen >= floor
	} else {
		fit = e.storedAt > floorAt
	}
	return age, current, fit && (age >= 0 && age <= c.cfg.MaxStale || planted("cacheage"))
}

// stale notes and tells that the cache answered in place of the store, which
// said err.
func (c *Cached) stale(ctx context.Context, r *resilient.Receipt, op resilient.Op, age time.Duration, err error) {
	if r != nil {
		*r = resilient.Receipt{Store: c.cacheName, Stale: true, Age: age}
	}
	if c.cfg.Observer != nil {
		resilient.Tell(ctx, c.cfg.Observer, resilient.Event{
			Kind: resilient.KindStale, Time: time.Now(), Store: c.name, Op: op, Age: age, Stale: true, Err: err,
		})
	}
}
