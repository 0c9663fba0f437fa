package badgerkv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/resilient"
)

// canaryTTL is how long the key that Health writes with Config.Canary lives.
const canaryTTL = time.Minute

// Health returns nil if the store is open and writable, no failed write has
// broken it, a read works, the directory at the path is still the one that was
// opened, and at least Config.MinFree bytes of the disk are free. With
// Config.Canary it also writes a key of the library's own. Its cost does not
// depend on how much is stored. It looks at ctx only before it begins.
func (k *KV) Health(ctx context.Context) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	err := k.view(func(txn *badger.Txn) error {
		_, err := txn.Get(k.keys.canary)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := k.writable(0); err != nil {
		return err
	}
	if k.cfg.Canary {
		return k.apply(ctx, []change{{key: k.keys.canary, value: []byte{}, ttl: canaryTTL}})
	}
	return nil
}

// writable returns nil if incoming more bytes may be written now. Every error
// matches resilient.ErrRefused.
func (k *KV) writable(incoming int64) error {
	if err := k.faults.err(); err != nil {
		return err
	}
	if k.db.Opts().ReadOnly {
		return fmt.Errorf("badgerkv: %w: %w", resilient.ErrRefused, badger.ErrReadOnlyTxn)
	}
	for _, disk := range k.disks {
		if err := disk.Check(incoming); err != nil {
			return fmt.Errorf("badgerkv: %w", err)
		}
	}
	return nil
}
