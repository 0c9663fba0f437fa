package rediskv

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns the value of key, which the caller owns.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	var value []byte
	err = k.call(ctx, false, func(ctx context.Context, c redis.UniversalClient) (err error) {
		value, err = answer(c.Get(ctx, k.prefix+key))
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

// answer returns what cmd has read: nil if there was nothing, a slice that is
// not if there was. The driver reads each value into memory of its own and
// keeps none of it.
func answer(cmd *redis.StringCmd) ([]byte, error) {
	value, err := cmd.Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err != nil:
		return nil, err
	case value == nil:
		return []byte{}, nil
	}
	return value, nil
}

// SetRaw stores value at key, without an expiry.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	value = k.own(value)
	return k.call(ctx, true, func(ctx context.Context, c redis.UniversalClient) error {
		return c.Set(ctx, k.prefix+key, value, 0).Err()
	})
}

// Delete removes key, whatever its type.
func (k *KV) Delete(ctx context.Context, key string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	return k.call(ctx, true, func(ctx context.Context, c redis.UniversalClient) error {
		return c.Del(ctx, k.prefix+key).Err()
	})
}
