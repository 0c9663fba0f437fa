package boltkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns a copy of the value of key. It runs on the caller's goroutine
// and looks at ctx only before it begins.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if err := k.gate.Admit(ctx); err != nil {
		return nil, err
	}
	defer k.gate.Leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	var value []byte
	err := k.view(func(b *bbolt.Bucket) error {
		value = clone(b.Get([]byte(key)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, resilient.ErrNotFound
	}
	return value, nil
}

// List returns the keys with prefix, of one moment. It looks at ctx every 128
// keys.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	if err := k.gate.Admit(ctx); err != nil {
		return nil, err
	}
	defer k.gate.Leave()
	keys := []string{}
	start, pulse := []byte(prefix), guard.NewPulse(k.gate)
	err := k.view(func(b *bbolt.Bucket) error {
		c := b.Cursor()
		for key, value := c.Seek(start); key != nil && bytes.HasPrefix(key, start); key, value = c.Next() {
			if err := pulse.Step(ctx); err != nil {
				return err
			}
			if value != nil { // a nil value is a bucket that somebody else nested here
				keys = append(keys, string(key))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return guard.Listed(keys), nil
}

// BatchGetRaw returns copies of the values that are there, all of one moment.
// It looks at ctx every 128 keys.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	if err := k.gate.Admit(ctx); err != nil {
		return nil, err
	}
	defer k.gate.Leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	pulse := guard.NewPulse(k.gate)
	err := k.view(func(b *bbolt.Bucket) error {
		for _, key := range keys {
			if err := pulse.Step(ctx); err != nil {
				return err
			}
			if value := clone(b.Get([]byte(key))); value != nil {
				found[key] = value
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// view calls fn with the bucket inside a read transaction.
func (k *KV) view(fn func(*bbolt.Bucket) error) error {
	err := embedded.Shield(func() error {
		return k.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(k.bucket)
			if b == nil {
				return errNoBucket
			}
			return fn(b)
		})
	})
	if err == nil || errors.Is(err, resilient.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("boltkv: %w: %w", resilient.ErrUnavailable, err)
}

// clone copies value out of the file's mapping, which is unmapped under the
// feet of whoever keeps a slice of it; a nil value stays nil and an empty one
// does not become nil.
func clone(value []byte) []byte {
	if value == nil {
		return nil
	}
	out := make([]byte, len(value))
	copy(out, value)
	return out
}
