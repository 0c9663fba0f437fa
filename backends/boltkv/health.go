package boltkv

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"
)

// Health returns nil if the store is open and writable, no commit has broken
// it, a read of its bucket works, the file at the path is still the one that
// is open, and at least Config.MinFree bytes of the disk are free. With
// Config.Canary it also commits an empty transaction. Its cost does not depend
// on how much is stored.
func (k *KV) Health(ctx context.Context) error {
	if err := k.gate.Admit(ctx); err != nil {
		return err
	}
	defer k.gate.Leave()
	if err := k.committer.fault(); err != nil {
		return err
	}
	// The seek reads a page of the bucket and returns at once.
	err := k.view(func(b *bbolt.Bucket) error {
		b.Cursor().First()
		return nil
	})
	if err != nil {
		return err
	}
	if err := k.disk.Check(0); err != nil {
		return fmt.Errorf("boltkv: %w", err)
	}
	if k.cfg.ReadOnly {
		return errReadOnly
	}
	if k.cfg.Canary {
		return k.commit(ctx, false, nil)
	}
	return nil
}
