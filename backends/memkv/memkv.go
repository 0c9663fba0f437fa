package memkv

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// KV is a store in memory. It is made by New; all methods are safe for
// concurrent use. No method blocks on anything but the lock, so a ctx is looked
// at once, before there is any effect.
type KV struct {
	cfg Config

	mu     sync.RWMutex // guards what follows; never held while a value is copied
	table  table
	closed bool
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// New returns an empty store, or an error that names every fault of cfg.
func New(cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m := &KV{cfg: cfg, table: unbounded{}}
	if cfg.MaxBytes > 0 {
		b, err := newBounded(cfg.MaxBytes)
		if err != nil {
			return nil, err
		}
		m.table = b
	}
	return m, nil
}

// Limits returns the longest key and the largest value in bytes; the value's
// is 0 if there is none.
func (m *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: m.cfg.MaxKey, MaxValue: m.cfg.MaxValue}
}

// GetRaw returns a copy of the value of key; an empty value is non-nil.
func (m *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if err := m.check(ctx, key); err != nil {
		return nil, err
	}
	var value []byte
	var ok bool
	if err := m.read(func(t table) { value, ok = t.get(key) }); err != nil {
		return nil, err
	}
	if !ok {
		return nil, resilient.ErrNotFound
	}
	return clone(value), nil
}

// SetRaw stores a copy of value. With Config.MaxBytes it may drop other keys.
func (m *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	if err := m.check(ctx, key); err != nil {
		return err
	}
	if err := m.checkValue(value); err != nil {
		return err
	}
	value = clone(value)
	return m.update(func(t table) { t.set(key, value) })
}

// Delete removes key; one that is not there is no error.
func (m *KV) Delete(ctx context.Context, key string) error {
	if err := m.check(ctx, key); err != nil {
		return err
	}
	return m.update(func(t table) { t.remove(key) })
}

// List returns the keys with prefix as of one moment, sorted. It looks at all
// keys: its time grows with the store.
func (m *KV) List(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var keys []string
	if err := m.read(func(t table) { keys = t.keys() }); err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
	slices.Sort(keys)
	return keys, nil
}

// BatchGetRaw returns copies of the values of those keys that are there, all as
// of one moment.
func (m *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	if err := m.check(ctx, keys...); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	err := m.read(func(t table) {
		for _, key := range keys {
			if value, ok := t.get(key); ok {
				found[key] = value
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for key, value := range found {
		found[key] = clone(value)
	}
	return found, nil
}

// BatchSetRaw stores copies of all values in one step, or none.
func (m *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, ok := kv[""]; ok { // whatever else is wrong: the answer must not depend on the map's order
		return resilient.ErrEmptyKey
	}
	copies := make(map[string][]byte, len(kv))
	for key, value := range kv {
		if err := m.checkKey(key); err != nil {
			return err
		}
		if err := m.checkValue(value); err != nil {
			return err
		}
		copies[key] = clone(value)
	}
	return m.update(func(t table) {
		for key, value := range copies {
			t.set(key, value)
		}
	})
}

// BatchDelete removes all keys in one step.
func (m *KV) BatchDelete(ctx context.Context, keys []string) error {
	if err := m.check(ctx, keys...); err != nil {
		return err
	}
	return m.update(func(t table) {
		for _, key := range keys {
			t.remove(key)
		}
	})
}

// Health returns nil until the store is closed.
func (m *KV) Health(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.read(func(table) {})
}

// Close drops all keys; every later call returns ErrClosed. It returns nil.
func (m *KV) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.table = true, nil
	return nil
}

// read runs look under the lock. The values that look finds must not be
// changed, but may be read once read has returned.
func (m *KV) read(look func(table)) error {
	if m.cfg.MaxBytes > 0 { // finding a key makes it the most recently used one
		return m.update(look)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return resilient.ErrClosed
	}
	look(m.table)
	return nil
}

// update runs change under the lock.
func (m *KV) update(change func(table)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return resilient.ErrClosed
	}
	change(m.table)
	return nil
}

// check refuses an ended ctx and keys outside of the store's domain.
func (m *KV) check(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := m.checkKey(key); err != nil {
			return err
		}
	}
	return nil
}

func (m *KV) checkKey(key string) error {
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	if len(key) > m.cfg.MaxKey {
		return resilient.ErrKeyTooLarge
	}
	return nil
}

func (m *KV) checkValue(value []byte) error {
	if m.cfg.MaxValue > 0 && len(value) > m.cfg.MaxValue {
		return resilient.ErrValueTooLarge
	}
	return nil
}

// clone copies value; the copy is never nil.
func clone(value []byte) []byte { return append([]byte{}, value...) }
