package mysqlkv

import (
	"context"
	"encoding/binary"
	"time"
)

// canaryKey is outside the key domain, so that no call but Health reaches it.
const canaryKey = "\x00"

// Health returns nil if this user can read and write the table now. It sends
// two statements that change nothing: an INSERT ... SELECT ... WHERE FALSE with
// the clause of SetRaw, for which the server asks for the rights to read,
// insert and update, looks whether it is read-only to this user, and waits for
// locks on the table as for any write; and a DELETE of the empty key, which
// asks for the right to delete, reads one page of the table, and is refused by
// an InnoDB that is read-only, which the first is not. @@read_only would not
// do: some users may write in spite of it, and other things are in the way of
// all. Neither is written to a binary log of rows, and the LIMIT makes one of
// mixed format take rows for the DELETE too.
//
// What they do not show is a full disk; Config.Canary makes Health write a row.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return k.call(ctx, false, func(ctx context.Context) error {
		for _, s := range []*statement{&k.sql.tryWrite, &k.sql.trySweep} {
			try, err := k.prepared(ctx, s)
			if err != nil {
				return err
			}
			err = again(ctx, func() error {
				_, err := try.ExecContext(ctx)
				return err
			})
			if err != nil {
				return err
			}
		}
		if !k.cfg.Canary {
			return nil
		}
		// A row that does not change is not written.
		return k.set(ctx, canaryKey, binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano())))
	})
}
