package postgreskv

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// canaryKey is outside the contract's key domain, and before all of it.
var canaryKey = []byte{0}

// Health returns nil if the server takes a statement that could write to the
// table: it is no standby and not read-only, the table is there, the user may
// select, insert, update and delete, and no lock keeps readers or writers out.
// A full disk is seen only with Config.Canary, which makes it a statement that
// does write, one row. Its cost does not depend on how much is stored.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	sql := k.sql.probe
	if k.cfg.Canary {
		sql = k.sql.canary
	}
	return k.do(ctx, false, func(c *pgx.Conn) error {
		var there bool // of no interest: the statement has done it
		return c.QueryRow(ctx, sql, canaryKey).Scan(&there)
	})
}
