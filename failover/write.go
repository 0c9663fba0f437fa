package failover

import (
	"context"
	"maps"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
)

// SetRaw stores value under key. It returns nil once the write is acknowledged,
// as Config.Writes says, or once a journal that outlives the process has it for
// every member that should: it is then rolled forward. An error that matches
// resilient.ErrRefused means that nothing was applied; one that matches
// resilient.ErrAmbiguous, that the write may take effect. The value is copied.
func (f *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	err := f.readyFor(ctx, resilient.OpSet, key)
	if err == nil {
		err = f.checkValue(resilient.OpSet, value)
	}
	e := &entry{key: key, value: slices.Clone(value)}
	return f.write(ctx, resilient.OpSet, err, []*entry{e}, func(ctx context.Context, p *peer) error {
		return p.m.SetRaw(ctx, key, e.value)
	})
}

// Delete removes key; as SetRaw otherwise. A key that is not there is no error.
func (f *KV) Delete(ctx context.Context, key string) error {
	err := f.readyFor(ctx, resilient.OpDelete, key)
	e := &entry{key: key, delete: true}
	return f.write(ctx, resilient.OpDelete, err, []*entry{e}, func(ctx context.Context, p *peer) error {
		return p.m.Delete(ctx, key)
	})
}

// BatchSetRaw stores all of kv, as SetRaw does one value. A batch that failed
// after any key was sent is ambiguous as a whole.
func (f *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	keys := slices.Sorted(maps.Keys(kv))
	err := f.readyForAll(ctx, resilient.OpBatchSet, keys)
	entries := make([]*entry, len(keys))
	copies := make(map[string][]byte, len(keys))
	for i, key := range keys {
		if err == nil {
			err = f.checkValue(resilient.OpBatchSet, kv[key])
		}
		entries[i] = &entry{key: key, value: slices.Clone(kv[key])}
		copies[key] = entries[i].value
	}
	return f.write(ctx, resilient.OpBatchSet, err, entries, func(ctx context.Context, p *peer) error {
		return p.m.BatchSetRaw(ctx, copies)
	})
}

// BatchDelete removes all keys, as Delete does one.
func (f *KV) BatchDelete(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	err := f.readyForAll(ctx, resilient.OpBatchDelete, keys)
	entries := make([]*entry, len(keys))
	for i, key := range keys {
		entries[i] = &entry{key: key, delete: true}
	}
	return f.write(ctx, resilient.OpBatchDelete, err, entries, func(ctx context.Context, p *peer) error {
		return p.m.BatchDelete(ctx, keys)
	})
}
