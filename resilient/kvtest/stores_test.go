package kvtest_test

import (
	"context"
	"errors"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
)

// foreign hides everything but the KV itself.
type foreign struct{ kv resilient.KVWithHealth }

func (s foreign) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return s.kv.GetRaw(ctx, key)
}
func (s foreign) SetRaw(ctx context.Context, key string, value []byte) error {
	return s.kv.SetRaw(ctx, key, value)
}
func (s foreign) Delete(ctx context.Context, key string) error { return s.kv.Delete(ctx, key) }
func (s foreign) List(ctx context.Context, prefix string) ([]string, error) {
	return s.kv.List(ctx, prefix)
}
func (s foreign) Health(ctx context.Context) error { return s.kv.Health(ctx) }
func (s foreign) Close() error                     { return s.kv.Close() }

// keepOpen is a store whose Close leaves the one below open.
type keepOpen struct{ *memkv.KV }

func (keepOpen) Close() error { return nil }

// knowing is a store that knows one error and its limits.
type knowing struct {
	foreign
	err error
}

func (s knowing) Limits() resilient.Limits { return resilient.Limits{MaxKey: 7, MaxValue: 9} }
func (s knowing) Classify(err error) resilient.Class {
	if errors.Is(err, s.err) {
		return resilient.Conflict
	}
	return resilient.OK
}

// failAt refuses one key.
type failAt struct {
	kv  resilient.KVWithHealth
	key string
}

func (s *failAt) on(key string) error {
	if key == s.key {
		return resilient.ErrRefused
	}
	return nil
}

func (s *failAt) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if err := s.on(key); err != nil {
		return nil, err
	}
	return s.kv.GetRaw(ctx, key)
}

func (s *failAt) SetRaw(ctx context.Context, key string, value []byte) error {
	if err := s.on(key); err != nil {
		return err
	}
	return s.kv.SetRaw(ctx, key, value)
}

func (s *failAt) Delete(ctx context.Context, key string) error {
	if err := s.on(key); err != nil {
		return err
	}
	return s.kv.Delete(ctx, key)
}

func (s *failAt) List(ctx context.Context, prefix string) ([]string, error) {
	return s.kv.List(ctx, prefix)
}
func (s *failAt) Health(ctx context.Context) error { return s.kv.Health(ctx) }
func (s *failAt) Close() error                     { return s.kv.Close() }
