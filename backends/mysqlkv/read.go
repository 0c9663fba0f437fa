package mysqlkv

import (
	"context"
	"database/sql"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// listPage is how many keys List asks for at once: at most 2 MiB of them.
const listPage = 4096

// GetRaw returns the value of key.
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
	err = k.call(ctx, false, func(ctx context.Context) error {
		get, err := k.prepared(ctx, &k.sql.get)
		if err != nil {
			return err
		}
		rows, err := get.QueryContext(ctx, key)
		if err != nil {
			return err
		}
		found := false
		err = drain(rows, func() error {
			found = true
			return rows.Scan(&value)
		})
		if err == nil && !found {
			return resilient.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return present(value), nil
}

// present makes an empty value a non-nil slice.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// List returns the keys with prefix, in pages of 4096: it is not of one moment
// if there are more.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	end, ok := guard.PrefixEnd(prefix)
	if !ok {
		end = "\xff" // comes after every key: no valid UTF-8 has this byte
	}
	start := max(prefix, firstKey)
	keys := []string{}
	err = k.call(ctx, false, func(ctx context.Context) error {
		list, err := k.prepared(ctx, &k.sql.list)
		for err == nil {
			before := len(keys)
			var rows *sql.Rows
			if rows, err = list.QueryContext(ctx, start, end, k.page); err != nil {
				return err
			}
			err = drain(rows, func() error {
				var key string
				err := rows.Scan(&key)
				keys = append(keys, key)
				return err
			})
			if len(keys)-before < k.page {
				return err
			}
			start = keys[len(keys)-1] + "\x00" // the next possible key
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return guard.Listed(keys), nil
}

// firstKey comes after canaryKey and before every key of the contract.
const firstKey = " "

// BatchGetRaw returns the values that are there, in statements of 500 keys: it
// is not of one moment if there are more.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(keys))
	if len(keys) == 0 {
		return values, nil
	}
	err = k.batch(ctx, false, func(ctx context.Context, b *batch) error {
		for chunk := range guard.KeyChunks(keys, batchRows) {
			rows, err := b.query(ctx, k.sql.getMany, len(chunk), keyArgs(chunk))
			if err != nil {
				return err
			}
			err = drain(rows, func() error {
				var (
					key   string
					value []byte
				)
				err := rows.Scan(&key, &value)
				values[key] = present(value)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}
