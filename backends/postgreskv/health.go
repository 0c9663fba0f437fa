package postgreskv

import (
	"context"
	"crypto/rand"

	"github.com/jackc/pgx/v5"
)

// canaryKey is outside the contract's key domain, and before all of it.
var canaryKey = []byte{0}

// canarySize is how many bytes Config.Canary writes. PostgreSQL keeps a value of
// more than 2 kB apart from its row, and one that does not compress in rows of
// 2 kB: it needs new room each time, where a short one would be written over its
// last version and pass on a full disk.
const canarySize = 4 << 10

// Health returns nil if the server takes a statement that could write to the
// table: it is no standby and not read-only, the table is there, the user may
// select, insert, update and delete, and no lock keeps readers or writers out.
// A full disk is seen only with Config.Canary, which makes it a statement that
// does write, 4 KiB. Its cost does not depend on how much is stored.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	sql, args := k.sql.probe, []any{canaryKey}
	if k.cfg.Canary {
		noise := make([]byte, canarySize)
		_, _ = rand.Read(noise) // never fails
		sql, args = k.sql.canary, append(args, noise)
	}
	return k.do(ctx, false, func(c *pgx.Conn) error {
		var there bool // of no interest: the statement has done it
		return c.QueryRow(ctx, sql, args...).Scan(&there)
	})
}
