package failover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
)

// The stores of this file are foreign: they have the methods of KiviGo's
// backends (github.com/kivigo/kivigo, pkg/models/kv.go) and know nothing of
// this module. They do what some of those do: a sentinel of their own for a
// miss, of Delete too; nil for an empty value and for a missing key of a batch;
// lists in no order; no word about an ended ctx, a bad key or Close.

var (
	errTheirMiss = errors.New("key not found")
	errTheirDown = errors.New("connection reset by peer")
)

// shelf has pointer receivers, and no batches.
type shelf struct {
	mu   sync.Mutex // guards all below
	m    map[string][]byte
	down bool
}

func newShelf() *shelf { return &shelf{m: map[string][]byte{}} }

func (s *shelf) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// use runs f on what the shelf holds, unless that is out of reach.
func (s *shelf) use(f func(m map[string][]byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errTheirDown
	}
	return f(s.m)
}

func (s *shelf) GetRaw(_ context.Context, key string) (value []byte, err error) {
	err = s.use(func(m map[string][]byte) error {
		v, ok := m[key]
		if !ok {
			return errTheirMiss
		}
		value = append([]byte(nil), v...) // nil for an empty one
		return nil
	})
	return value, err
}

func (s *shelf) SetRaw(_ context.Context, key string, value []byte) error {
	return s.use(func(m map[string][]byte) error { m[key] = slices.Clone(value); return nil })
}

func (s *shelf) Delete(_ context.Context, key string) error {
	return s.use(func(m map[string][]byte) error {
		if _, ok := m[key]; !ok {
			return errTheirMiss
		}
		delete(m, key)
		return nil
	})
}

func (s *shelf) List(_ context.Context, prefix string) (keys []string, err error) {
	err = s.use(func(m map[string][]byte) error {
		for key := range m {
			if strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

func (s *shelf) Health(context.Context) error {
	return s.use(func(map[string][]byte) error { return nil })
}

func (s *shelf) Close() error { return nil }

// crate is a shelf with batches.
type crate struct{ *shelf }

func (c crate) BatchGetRaw(_ context.Context, keys []string) (map[string][]byte, error) {
	values := map[string][]byte{}
	err := c.use(func(m map[string][]byte) error {
		for _, key := range keys {
			values[key] = append([]byte(nil), m[key]...) // nil for a missing one too
		}
		return nil
	})
	return values, err
}

func (c crate) BatchSetRaw(_ context.Context, kv map[string][]byte) error {
	return c.use(func(m map[string][]byte) error {
		for key, value := range kv {
			m[key] = slices.Clone(value)
		}
		return nil
	})
}

func (c crate) BatchDelete(_ context.Context, keys []string) error {
	return c.use(func(m map[string][]byte) error {
		for _, key := range keys {
			if _, ok := m[key]; !ok {
				return errTheirMiss // with the keys behind it still there
			}
			delete(m, key)
		}
		return nil
	})
}

// card has value receivers and can be compared.
type card struct{ s *shelf }

func (c card) GetRaw(ctx context.Context, key string) ([]byte, error) { return c.s.GetRaw(ctx, key) }
func (c card) SetRaw(ctx context.Context, key string, value []byte) error {
	return c.s.SetRaw(ctx, key, value)
}
func (c card) Delete(ctx context.Context, key string) error { return c.s.Delete(ctx, key) }
func (c card) List(ctx context.Context, prefix string) ([]string, error) {
	return c.s.List(ctx, prefix)
}
func (c card) Health(ctx context.Context) error { return c.s.Health(ctx) }
func (c card) Close() error                     { return c.s.Close() }

// tray has a type that cannot be compared.
type tray struct {
	card
	labels []string
}

// crib has a type that can be compared, and may hold what cannot.
type crib struct {
	card
	option any
}

// drawer has no Health.
type drawer struct{ s *shelf }

func (d drawer) GetRaw(ctx context.Context, key string) ([]byte, error) { return d.s.GetRaw(ctx, key) }
func (d drawer) SetRaw(ctx context.Context, key string, value []byte) error {
	return d.s.SetRaw(ctx, key, value)
}
func (d drawer) Delete(ctx context.Context, key string) error { return d.s.Delete(ctx, key) }
func (d drawer) List(ctx context.Context, prefix string) ([]string, error) {
	return d.s.List(ctx, prefix)
}
func (d drawer) Close() error { return d.s.Close() }
