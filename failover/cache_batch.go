package failover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holdfastkv/holdfast/resilient"
)

// batchGet asks the store for keys, one by one if it knows no batches.
func (c *Cached) batchGet(ctx context.Context, keys []string) (map[string][]byte, error) {
	if c.batch != nil {
		return c.batch.BatchGetRaw(ctx, keys)
	}
	if err := c.checkKeys(ctx, keys); err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(keys))
	for _, key := range keys {
		value, err := c.kv.GetRaw(ctx, key)
		switch {
		case err == nil:
			values[key] = value
		case c.class(err) != resilient.Missing:
			return nil, err
		}
	}
	return values, nil
}

func (c *Cached) batchSet(ctx context.Context, kv map[string][]byte) error {
	if c.batch != nil {
		return c.batch.BatchSetRaw(ctx, kv)
	}
	keys := slices.Sorted(maps.Keys(kv))
	if err := c.checkKeys(ctx, keys); err != nil {
		return err
	}
	for _, value := range kv {
		if c.limits.MaxValue > 0 && len(value) > c.limits.MaxValue {
			return resilient.ErrValueTooLarge
		}
	}
	return oneAfterAnother(keys, func(key string) error { return c.kv.SetRaw(ctx, key, kv[key]) })
}

func (c *Cached) batchDelete(ctx context.Context, keys []string) error {
	if c.batch != nil {
		return c.batch.BatchDelete(ctx, keys)
	}
	if err := c.checkKeys(ctx, keys); err != nil {
		return err
	}
	return oneAfterAnother(keys, func(key string) error {
		if err := c.kv.Delete(ctx, key); c.class(err) != resilient.Missing {
			return err
		}
		return nil
	})
}

// checkKeys refuses what the store would refuse half-way through a batch.
func (c *Cached) checkKeys(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := resilient.CheckKey(key); err != nil {
			return err
		}
		if c.limits.MaxKey > 0 && len(key) > c.limits.MaxKey {
			return resilient.ErrKeyTooLarge
		}
	}
	return nil
}

// oneAfterAnother writes keys until one fails. From the second on the batch may
// have been applied in part, whatever that one's error says.
func oneAfterAnother(keys []string, write func(key string) error) error {
	for i, key := range keys {
		err := write(key)
		if err != nil && i > 0 && !errors.Is(err, resilient.ErrAmbiguous) {
			return fmt.Errorf("%w: %w", resilient.ErrAmbiguous, ambiguous(err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
