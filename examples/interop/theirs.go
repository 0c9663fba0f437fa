package main

import (
	"context"
	"errors"
	"strings"
	"sync"
)

// What is in this file stands for somebody else's packages. It has the methods
// of KiviGo's backends and of its client (github.com/kivigo/kivigo), and
// knows nothing of Holdfast.

var (
	errNotFound    = errors.New("key not found")    // their miss
	errEmptyPrefix = errors.New("prefix is empty")  // their word for a wrong call
	errConnection  = errors.New("connection reset") // their driver's failure
	_              = backend((*memory)(nil))        // as their client wants it
	_              = checker((*memory)(nil))        // and their health checks
)

type backend interface {
	GetRaw(ctx context.Context, key string) ([]byte, error)
	SetRaw(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string) ([]string, error)
	Close() error
}

type checker interface {
	Health(ctx context.Context) error
}

// memory is a backend of theirs.
type memory struct {
	mu     sync.Mutex // guards all below
	values map[string][]byte
	gone   bool
}

func (m *memory) setGone(gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = gone
}

// locked runs f while the server is there.
func (m *memory) locked(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return errConnection
	}
	return f()
}

func (m *memory) GetRaw(_ context.Context, key string) (value []byte, err error) {
	err = m.locked(func() error {
		stored, ok := m.values[key]
		if !ok {
			return errNotFound
		}
		value = append([]byte{}, stored...)
		return nil
	})
	return value, err
}

func (m *memory) SetRaw(_ context.Context, key string, value []byte) error {
	return m.locked(func() error { m.values[key] = append([]byte{}, value...); return nil })
}

func (m *memory) Delete(_ context.Context, key string) error {
	return m.locked(func() error { delete(m.values, key); return nil })
}

func (m *memory) List(_ context.Context, prefix string) (keys []string, err error) {
	err = m.locked(func() error {
		if prefix == "" {
			return errEmptyPrefix
		}
		for key := range m.values {
			if strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

func (m *memory) Health(context.Context) error {
	return m.locked(func() error { return nil })
}

func (m *memory) Close() error { return nil }

// client is a client of theirs.
type client struct{ kv backend }

// HasKey knows one miss, its own; every other error is a failure.
func (c client) HasKey(ctx context.Context, key string) (bool, error) {
	_, err := c.kv.GetRaw(ctx, key)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	return err == nil, err
}
