package badgerkv

import (
	"context"
	"maps"
	"slices"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// SetRaw stores value, which is not read any more once SetRaw has returned. It
// looks at ctx only before it begins.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckWrite(key, value, k.maxValue); err != nil {
		return err
	}
	return k.apply(ctx, []change{{key: k.keys.key(key), value: value}})
}

// Delete removes key. It looks at ctx only before it begins.
func (k *KV) Delete(ctx context.Context, key string) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	return k.apply(ctx, []change{{key: k.keys.key(key), delete: true}})
}

// BatchSetRaw stores all values, in as few transactions as badger allows; one
// that does not fit into one transaction (2.4 MiB or some 26,000 keys with what
// Open sets) is not atomic. It looks at ctx between two transactions.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckEntries(kv, k.maxValue); err != nil {
		return err
	}
	changes := make([]change, 0, len(kv))
	for _, key := range slices.Sorted(maps.Keys(kv)) {
		changes = append(changes, change{key: k.keys.key(key), value: kv[key]})
	}
	return k.apply(ctx, changes)
}

// BatchDelete removes all keys; what BatchSetRaw says about transactions and
// ctx holds here too.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckKeys(keys); err != nil {
		return err
	}
	changes := make([]change, 0, len(keys))
	for _, key := range keys {
		changes = append(changes, change{key: k.keys.key(key), delete: true})
	}
	return k.apply(ctx, changes)
}
