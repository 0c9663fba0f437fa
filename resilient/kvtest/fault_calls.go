package kvtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns the value of key.
func (f *Fault) GetRaw(ctx context.Context, key string) ([]byte, error) {
	c := &call{op: resilient.OpGet, key: key}
	err := f.do(ctx, c)
	return c.value, err
}

// SetRaw stores value under key.
func (f *Fault) SetRaw(ctx context.Context, key string, value []byte) error {
	return f.do(ctx, &call{op: resilient.OpSet, key: key, value: value})
}

// Delete removes key.
func (f *Fault) Delete(ctx context.Context, key string) error {
	return f.do(ctx, &call{op: resilient.OpDelete, key: key})
}

// List returns the keys with prefix.
func (f *Fault) List(ctx context.Context, prefix string) ([]string, error) {
	c := &call{op: resilient.OpList, key: prefix}
	err := f.do(ctx, c)
	return c.keys, err
}

// BatchGetRaw returns the values of those keys that are there.
func (f *Fault) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	c := &call{op: resilient.OpBatchGet, keys: keys}
	err := f.do(ctx, c)
	return c.values, err
}

// BatchSetRaw stores all of kv.
func (f *Fault) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	return f.do(ctx, &call{op: resilient.OpBatchSet, values: kv})
}

// BatchDelete removes all of keys.
func (f *Fault) BatchDelete(ctx context.Context, keys []string) error {
	return f.do(ctx, &call{op: resilient.OpBatchDelete, keys: keys})
}

// Health checks the wrapped store.
func (f *Fault) Health(ctx context.Context) error {
	return f.do(ctx, &call{op: resilient.OpHealth})
}

// call is one call: what it was given and, once it is applied, its answer.
type call struct {
	op     resilient.Op
	ctx    context.Context // of a late write only
	key    string          // or the prefix
	value  []byte          // given to SetRaw, answered by GetRaw
	keys   []string        // given to BatchGetRaw and BatchDelete, answered by List
	values map[string][]byte
}

// clone returns a copy that shares no memory with the caller and that no end of
// ctx ends.
func (c *call) clone(ctx context.Context) *call {
	own := &call{op: c.op, ctx: context.WithoutCancel(ctx), key: c.key}
	own.value, own.keys = slices.Clone(c.value), slices.Clone(c.keys)
	own.values = make(map[string][]byte, len(c.values))
	for key, value := range c.values {
		own.values[key] = slices.Clone(value)
	}
	return own
}

// needsNoIO reports whether the contract settles c before any I/O.
func (c *call) needsNoIO(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	switch c.op {
	case resilient.OpGet, resilient.OpSet, resilient.OpDelete:
		return resilient.CheckKey(c.key) != nil
	case resilient.OpBatchGet, resilient.OpBatchDelete:
		return len(c.keys) == 0 || checkKeys(slices.Values(c.keys)) != nil
	case resilient.OpBatchSet:
		return len(c.values) == 0 || checkKeys(maps.Keys(c.values)) != nil
	}
	return false
}

func checkKeys(keys func(yield func(string) bool)) error {
	for key := range keys {
		if err := resilient.CheckKey(key); err != nil {
			return err
		}
	}
	return nil
}

// apply gives c to the wrapped store.
func (f *Fault) apply(ctx context.Context, c *call) (err error) {
	switch c.op {
	case resilient.OpGet:
		c.value, err = f.kv.GetRaw(ctx, c.key)
	case resilient.OpSet:
		err = f.kv.SetRaw(ctx, c.key, c.value)
	case resilient.OpDelete:
		err = f.kv.Delete(ctx, c.key)
	case resilient.OpList:
		c.keys, err = f.kv.List(ctx, c.key)
	case resilient.OpBatchGet:
		c.values, err = f.batchGet(ctx, c.keys)
	case resilient.OpBatchSet:
		err = f.batchSet(ctx, c.values)
	case resilient.OpBatchDelete:
		err = f.batchDelete(ctx, c.keys)
	case resilient.OpHealth:
		err = f.kv.Health(ctx)
	}
	return err
}

func (f *Fault) batchGet(ctx context.Context, keys []string) (map[string][]byte, error) {
	if f.batcher != nil {
		return f.batcher.BatchGetRaw(ctx, keys)
	}
	if err := f.checkBatch(ctx, slices.Values(keys)); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	for _, key := range keys {
		value, err := f.kv.GetRaw(ctx, key)
		if errors.Is(err, resilient.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[key] = value
	}
	return found, nil
}

func (f *Fault) batchSet(ctx context.Context, kv map[string][]byte) error {
	if f.batcher != nil {
		return f.batcher.BatchSetRaw(ctx, kv)
	}
	if err := f.checkBatch(ctx, maps.Keys(kv)); err != nil {
		return err
	}
	limits := f.Limits()
	for key, value := range kv {
		if limits.MaxKey > 0 && len(key) > limits.MaxKey {
			return resilient.ErrKeyTooLarge
		}
		if limits.MaxValue > 0 && len(value) > limits.MaxValue {
			return resilient.ErrValueTooLarge
		}
	}
	return oneByOne(slices.Sorted(maps.Keys(kv)), func(key string) error {
		return f.kv.SetRaw(ctx, key, kv[key])
	})
}

func (f *Fault) batchDelete(ctx context.Context, keys []string) error {
	if f.batcher != nil {
		return f.batcher.BatchDelete(ctx, keys)
	}
	if err := f.checkBatch(ctx, slices.Values(keys)); err != nil {
		return err
	}
	return oneByOne(slices.Sorted(slices.Values(keys)), func(key string) error {
		return f.kv.Delete(ctx, key)
	})
}

// oneByOne writes each key. A failure after the first is ambiguous, whatever its
// own class is: keys were applied.
func oneByOne(keys []string, write func(key string) error) error {
	for i, key := range keys {
		err := write(key)
		if err != nil && i > 0 {
			return fmt.Errorf("%w: %w", resilient.ErrAmbiguous, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkBatch refuses a batch that is served key by key before any of its keys
// is touched.
func (f *Fault) checkBatch(ctx context.Context, keys func(yield func(string) bool)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return checkKeys(keys)
}
