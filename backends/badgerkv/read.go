package badgerkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns a copy of the value of key. It looks at ctx only before it
// begins.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if err := k.gate.Admit(ctx); err != nil {
		return nil, err
	}
	defer k.gate.Leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	var value []byte
	err := k.view(func(txn *badger.Txn) (err error) {
		value, err = k.get(txn, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, resilient.ErrNotFound
	}
	return value, nil
}

// List returns the keys with prefix, of one moment, without reading values. It
// looks at ctx every 128 keys.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	if err := k.gate.Admit(ctx); err != nil {
		return nil, err
	}
	defer k.gate.Leave()
	keys := []string{}
	pulse := guard.NewPulse(k.gate)
	err := k.view(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		opts.Prefix = k.keys.key(prefix)
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := pulse.Step(ctx); err != nil {
				return err
			}
			keys = append(keys, k.keys.name(it.Item().Key()))
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
	err := k.view(func(txn *badger.Txn) error {
		for _, key := range keys {
			if err := pulse.Step(ctx); err != nil {
				return err
			}
			value, err := k.get(txn, key)
			if err != nil {
				return err
			}
			if value != nil {
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

// get returns a copy of the value of key, nil if it is not there.
func (k *KV) get(txn *badger.Txn, key string) ([]byte, error) {
	item, err := txn.Get(k.keys.key(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// ValueCopy would return nil for an empty value.
	return item.ValueCopy([]byte{})
}

// view calls fn with a read transaction.
func (k *KV) view(fn func(*badger.Txn) error) error {
	err := embedded.Shield(func() error { return k.db.View(fn) })
	switch {
	case err == nil, ended(err):
		return err
	case k.db.IsClosed():
		err = badger.ErrDBClosed // whatever badger's call came across when its owner closed it
	}
	return fmt.Errorf("badgerkv: %w: %w", resilient.ErrUnavailable, conceal(err))
}
