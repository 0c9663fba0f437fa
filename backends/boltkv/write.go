package boltkv

import (
	"context"
	"fmt"
	"slices"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// SetRaw stores a copy of value. Writes of single keys that wait at the same
// time share one commit. If ctx ends before the write was taken into a commit,
// it is not applied and the error is ctx's; if ctx ends later, SetRaw returns
// at once with an error that matches ctx's and resilient.ErrAmbiguous, while
// the commit goes on.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	return k.commit(ctx, false, []change{set(key, value)})
}

// Delete removes key; what SetRaw says about ctx and commits holds here too.
func (k *KV) Delete(ctx context.Context, key string) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	return k.commit(ctx, false, []change{{key: []byte(key)}})
}

// BatchSetRaw stores copies of all values in one transaction of its own: all
// of them or none. What SetRaw says about ctx holds here too.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil || len(kv) == 0 {
		return err
	}
	changes := make([]change, 0, len(kv))
	for key, value := range kv {
		changes = append(changes, set(key, value))
	}
	return k.commit(ctx, true, changes)
}

// BatchDelete removes all keys in one transaction of its own: all of them or
// none. What SetRaw says about ctx holds here too.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := guard.CheckKeys(keys); err != nil || len(keys) == 0 {
		return err
	}
	changes := make([]change, 0, len(keys))
	for _, key := range keys {
		changes = append(changes, change{key: []byte(key)})
	}
	return k.commit(ctx, true, changes)
}

// commit queues the changes and waits for what becomes of them.
func (k *KV) commit(ctx context.Context, alone bool, changes []change) error {
	if k.cfg.ReadOnly {
		return errReadOnly
	}
	// bbolt fills its pages best when the keys come in order.
	slices.SortFunc(changes, compareChanges)
	w := &write{changes: changes, alone: alone, done: make(chan error, 1)}
	if err := k.committer.add(w); err != nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	if k.committer.drop(w) {
		return ctx.Err()
	}
	select {
	case err := <-w.done: // it ended at the same moment
		return err
	default:
		return fmt.Errorf("boltkv: %w: %w while the commit went on", resilient.ErrAmbiguous, ctx.Err())
	}
}
