package resilient

import (
	"context"
	"slices"
	"strings"
)

// get is GetRaw for Store and Member.
func (s *Store) get(ctx context.Context, r *request, key string) (value []byte, err error) {
	err = s.do(ctx, r, func(ctx context.Context) (err error) {
		value, err = s.kv.GetRaw(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return notNil(value), nil
}

func (s *Store) set(ctx context.Context, r *request, key string, value []byte) error {
	value = notNil(value)
	return s.do(ctx, r, func(ctx context.Context) error {
		return s.kv.SetRaw(ctx, key, value)
	})
}

func (s *Store) remove(ctx context.Context, r *request, key string) error {
	return s.do(ctx, r, func(ctx context.Context) error {
		return s.kv.Delete(ctx, key)
	})
}

func (s *Store) list(ctx context.Context, r *request, prefix string) (keys []string, err error) {
	err = s.do(ctx, r, func(ctx context.Context) (err error) {
		keys, err = s.kv.List(ctx, prefix)
		if err != nil {
			keys = nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return tidy(keys, prefix), nil
}

// notNil returns value, or an empty slice for nil.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// tidy returns the keys that start with prefix, sorted, each once. Keys that
// are in order already are returned as they are.
func tidy(keys []string, prefix string) []string {
	if keys == nil {
		return []string{}
	}
	for i, key := range keys {
		if !strings.HasPrefix(key, prefix) || i > 0 && keys[i-1] >= key {
			kept := slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
				return !strings.HasPrefix(key, prefix)
			})
			slices.Sort(kept)
			return slices.Compact(kept)
		}
	}
	return keys
}
