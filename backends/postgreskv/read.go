package postgreskv

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// listPage is how many keys one statement of List returns: 2 MiB of the longest
// keys.
const listPage = 4096

// firstKey is before every key of the contract's domain, and after canaryKey.
const firstKey = "\x01"

// GetRaw returns the value of key.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	var value []byte
	err = k.do(ctx, false, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, k.sql.get, []byte(key)).Scan(&value)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, resilient.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return notNull(value), nil
}

// List returns the keys with prefix. It asks for 4096 keys at a time: a key that
// is set or deleted meanwhile is in the answer or not, every other one is.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	var keys []string
	err = k.do(ctx, false, func(c *pgx.Conn) (err error) {
		keys, err = k.list(ctx, c, prefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	return guard.Listed(keys), nil
}

func (k *KV) list(ctx context.Context, c *pgx.Conn, prefix string) ([]string, error) {
	sql, args := k.sql.listAll, []any{[]byte(max(prefix, firstKey)), listPage}
	if end, ok := guard.PrefixEnd(prefix); ok {
		sql, args = k.sql.listTo, append(args, []byte(end))
	}
	keys := []string{}
	for {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		var key []byte
		tag, err := pgx.ForEachRow(rows, []any{&key}, func() error {
			keys = append(keys, string(key))
			return nil
		})
		if err != nil || tag.RowsAffected() < listPage {
			return keys, err
		}
		args[0] = append(key, 0) // the next key there can be
	}
}

// BatchGetRaw returns the values that are there. More than 10000 keys are asked
// for in parts, which are not of one moment.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	err = k.do(ctx, false, func(c *pgx.Conn) error {
		for part := range guard.KeyChunks(keys, batchCount) {
			rows, err := c.Query(ctx, k.sql.getMany, asBytes(part))
			if err != nil {
				return err
			}
			var key, value []byte
			_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
				found[string(key)] = notNull(value)
				return nil
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
	return found, nil
}

func asBytes(keys []string) [][]byte {
	out := make([][]byte, len(keys))
	for i, key := range keys {
		out[i] = []byte(key)
	}
	return out
}
