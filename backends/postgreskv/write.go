package postgreskv

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// What one statement of a batch holds at most. pgx has it in memory once more
	// while it is sent.
	batchCount = 10000
	batchBytes = 8 << 20
	// How often a batch is tried that the server rolls back. The keys are sorted,
	// so batches do not deadlock with each other; they may with somebody else's
	// transactions.
	batchTries = 3
)

// SetRaw stores value. It returns when the server has committed the write, or at
// the end of ctx.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	return k.do(ctx, true, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, k.sql.set, []byte(key), notNull(value))
		return err
	})
}

// Delete removes key; what SetRaw says about ctx holds here too.
func (k *KV) Delete(ctx context.Context, key string) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	return k.do(ctx, true, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, k.sql.del, []byte(key))
		return err
	})
}

// BatchSetRaw stores all values in one transaction: all of them or none.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil || len(kv) == 0 {
		return err
	}
	parts := slices.Collect(guard.Chunks(kv, batchCount, batchBytes))
	return batch(ctx, k, parts, func(e executor, part []guard.Entry) error {
		keys, values := make([][]byte, len(part)), make([][]byte, len(part))
		for i, entry := range part {
			keys[i], values[i] = []byte(entry.Key), notNull(entry.Value)
		}
		_, err := e.Exec(ctx, k.sql.setMany, keys, values)
		return err
	})
}

// BatchDelete removes all keys in one transaction: all of them or none.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil || len(keys) == 0 {
		return err
	}
	parts := slices.Collect(guard.KeyChunks(keys, batchCount))
	return batch(ctx, k, parts, func(e executor, part []string) error {
		_, err := e.Exec(ctx, k.sql.delMany, asBytes(part))
		return err
	})
}

// executor is a connection, or a transaction on one.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// batch executes all parts in one transaction, and again if the server rolled it
// back for somebody else's sake. A single statement is a transaction by itself.
func batch[Part any](ctx context.Context, k *KV, parts []Part, exec func(executor, Part) error) error {
	for try := 1; ; try++ {
		err := k.do(ctx, true, func(c *pgx.Conn) error {
			if len(parts) == 1 {
				return exec(c, parts[0])
			}
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				for _, part := range parts {
					if err := exec(tx, part); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if try == batchTries || k.Classify(err) != resilient.Conflict || guard.Over(ctx) != nil {
			return err
		}
	}
}

// notNull returns value, or an empty one for nil, which is what pgx makes of NULL
// and NULL of.
func notNull(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
