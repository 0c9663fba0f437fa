package failover

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// SetRaw makes value the value of key in the store.
func (c *Cached) SetRaw(ctx context.Context, key string, value []byte) error {
	return c.write(ctx, cacheChange{op: resilient.OpSet, keys: []string{key}, value: value}, func() error {
		return c.kv.SetRaw(ctx, key, value)
	})
}

// Delete removes key from the store.
func (c *Cached) Delete(ctx context.Context, key string) error {
	return c.write(ctx, cacheChange{op: resilient.OpDelete, keys: []string{key}}, func() error {
		return c.kv.Delete(ctx, key)
	})
}

// BatchSetRaw sets each key of kv in the store. If it fails any of them may
// have been set.
func (c *Cached) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	return c.write(ctx, cacheChange{op: resilient.OpBatchSet, keys: slices.Collect(maps.Keys(kv)), values: kv}, func() error {
		return c.batchSet(ctx, kv)
	})
}

// BatchDelete removes each of keys from the store. If it fails any of them may
// have been removed.
func (c *Cached) BatchDelete(ctx context.Context, keys []string) error {
	return c.write(ctx, cacheChange{op: resilient.OpBatchDelete, keys: keys}, func() error {
		return c.batchDelete(ctx, keys)
	})
}

// cacheChange is a write.
type cacheChange struct {
	op     resilient.Op
	keys   []string
	value  []byte            // OpSet
	values map[string][]byte // OpBatchSet
	became becameOf
	began  time.Time
}

// becameOf is what has become of a write at the store.
type becameOf uint8

const (
	becameUnsure becameOf = iota // it may have been applied
	becameApplied
	becameNothing
)

// write makes call, which is the change w. Until it has ended its keys are not
// served from the cache. A call that panics is an unsure one.
func (c *Cached) write(ctx context.Context, w cacheChange, call func() error) error {
	r := receipt(ctx)
	if c.closing.Load() {
		return resilient.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.began = time.Now()
	for _, key := range w.keys {
		c.stripe(key).begin(key)
	}
	defer func() {
		for _, key := range w.keys {
			c.end(&w, key)
		}
	}()
	err := call()
	w.became = c.became(w.op, err)
	c.served(r, err)
	return err
}

// became says what has become of a write that the store answered with err.
func (c *Cached) became(op resilient.Op, err error) becameOf {
	if err == nil {
		return becameApplied
	}
	if errors.Is(err, resilient.ErrAmbiguous) {
		return becameUnsure
	}
	switch c.class(err) {
	case resilient.Invalid, resilient.Refused, resilient.Conflict:
		return becameNothing
	case resilient.Missing:
		if op == resilient.OpDelete || op == resilient.OpBatchDelete {
			return becameApplied
		}
	}
	return becameUnsure
}

// end makes key servable again, once the cache has its new value.
func (c *Cached) end(w *cacheChange, key string) {
	it := cacheItem{raw: c.envelopeOf(w, key)} // a copy, made before the lock is taken
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.endLocked(key)
	switch w.became {
	case becameUnsure:
		if !planted("cacheunsure") {
			s.raiseLocked()
		}
	case becameApplied:
		s.raiseOthersLocked()
		it.gen = s.gen.Add(1)
		if shared {
			it.raw = nil
		}
		if it.raw != nil {
			setGeneration(it.raw, it.gen)
			s.backLocked(key)
		} else {
			s.unmarkLocked(key)
		}
		c.replaceLocked(s, key, it)
	}
}

// envelopeOf returns an envelope for the new value of key; nil if it has none
// for the cache.
func (c *Cached) envelopeOf(w *cacheChange, key string) []byte {
	value := w.value
	switch w.op {
	case resilient.OpDelete, resilient.OpBatchDelete:
		return nil
	case resilient.OpBatchSet:
		value = w.values[key]
	}
	if w.became != becameApplied || len(value) > c.cfg.MaxValue {
		return nil
	}
	return c.envelope(value, 0, w.began)
}
