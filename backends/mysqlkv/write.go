package mysqlkv

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// SetRaw stores value. One that fails after it was sent matches
// resilient.ErrAmbiguous: a server that was only slow applies it later.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	return k.call(ctx, true, func(ctx context.Context) error { return k.set(ctx, key, value) })
}

func (k *KV) set(ctx context.Context, key string, value []byte) error {
	set, err := k.prepared(ctx, &k.sql.set)
	if err != nil {
		return err
	}
	if !k.fits(value) {
		return resilient.ErrValueTooLarge
	}
	return again(ctx, func() error {
		_, err := set.ExecContext(ctx, key, present(value))
		return err
	})
}

// fits reports whether the server takes value; the first contact must have been
// made. A server drops the connection of one that it does not take.
func (k *KV) fits(value []byte) bool { return int64(len(value)) <= k.packet.Load()-packetRoom }

// Delete removes key; what SetRaw says about failures holds here too.
func (k *KV) Delete(ctx context.Context, key string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	return k.call(ctx, true, func(ctx context.Context) error {
		del, err := k.prepared(ctx, &k.sql.del)
		if err != nil {
			return err
		}
		return again(ctx, func() error {
			_, err := del.ExecContext(ctx, key)
			return err
		})
	})
}

// BatchSetRaw stores all values in one transaction: all of them or none.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil || len(kv) == 0 {
		return err
	}
	return k.batch(ctx, true, func(ctx context.Context, b *batch) error {
		for _, value := range kv {
			if !k.fits(value) {
				return resilient.ErrValueTooLarge
			}
		}
		chunks := slices.Collect(guard.Chunks(kv, batchRows, min(batchBytes, int(k.packet.Load())/2)))
		return b.commit(ctx, len(chunks), func() error {
			for _, chunk := range chunks {
				if err := b.exec(ctx, k.sql.setMany, len(chunk), entryArgs(chunk)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// BatchDelete removes all keys in one transaction: all of them or none.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil || len(keys) == 0 {
		return err
	}
	return k.batch(ctx, true, func(ctx context.Context, b *batch) error {
		chunks := slices.Collect(guard.KeyChunks(keys, batchRows))
		return b.commit(ctx, len(chunks), func() error {
			for _, chunk := range chunks {
				if err := b.exec(ctx, k.sql.delMany, len(chunk), keyArgs(chunk)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

const (
	// maxTries is how often a write is tried that the server rolls back. Sorted
	// keys do not suffice: InnoDB locks the gaps between them as well.
	maxTries = 20
	// retryStep spreads the tries of those that met: the n-th waits for up to
	// n times as long.
	retryStep = 2 * time.Millisecond
)

// again calls write until the server does not roll it back any more.
func again(ctx context.Context, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		if err == nil || try == maxTries || !rolledBack(err) {
			return err
		}
		wait := time.NewTimer(rand.N(time.Duration(try) * retryStep)) //#nosec G404 -- jitter, nothing secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}
