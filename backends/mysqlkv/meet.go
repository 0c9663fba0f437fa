package mysqlkv

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// noSuchTable is the server's error number.
const noSuchTable = 1146

// meet is the first contact: it learns what the server takes and makes the
// table if it is not there. Any number of calls and of stores may do so at
// once. Its error is an *unsent.
func (k *KV) meet(ctx context.Context) error {
	if k.packet.Load() != 0 {
		return nil
	}
	packet, err := k.settings(ctx)
	if err == nil {
		err = k.isolation(ctx)
	}
	if err == nil {
		err = k.look(ctx)
	}
	var server *mysql.MySQLError
	if errors.As(err, &server) && server.Number == noSuchTable {
		if _, err = k.db.ExecContext(ctx, k.sql.create); err == nil {
			err = k.look(ctx)
		}
	}
	if err != nil {
		return before(meeting, err)
	}
	k.packet.Store(packet)
	return nil
}

// settings returns max_allowed_packet, and an error for settings of a borrowed
// pool with which a write would not be what it is acknowledged for.
func (k *KV) settings(ctx context.Context) (packet int64, err error) {
	rows, err := k.db.QueryContext(ctx, "SELECT @@max_allowed_packet, @@autocommit, @@sql_mode,"+
		" @@character_set_connection = @@character_set_client, @@sql_select_limit")
	if err != nil {
		return 0, err
	}
	var (
		autocommit, asSent bool
		mode               string
		limit              uint64
	)
	if err := drain(rows, func() error { return rows.Scan(&packet, &autocommit, &mode, &asSent, &limit) }); err != nil {
		return 0, err
	}
	switch {
	case packet < leastValue+packetRoom:
		return 0, errPacket
	case !autocommit:
		return 0, errAutocommit
	case !strings.Contains(mode, "STRICT_"):
		return 0, errSQLMode
	case !asSent:
		return 0, errCharset
	case limit < batchRows:
		return 0, errSelectLimit
	}
	return packet, nil
}

// isolation returns an error if reads would see what others have not committed.
// MariaDB and MySQL have different names for the setting.
func (k *KV) isolation(ctx context.Context) error {
	rows, err := k.db.QueryContext(ctx, "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')")
	if err != nil {
		return err
	}
	dirty := false
	err = drain(rows, func() error {
		var name, level string
		err := rows.Scan(&name, &level)
		dirty = dirty || level == "READ-UNCOMMITTED"
		return err
	})
	if err == nil && dirty {
		err = errDirty
	}
	return err
}

// look returns nil if the table is there, keeps the bytes of keys, and is fit
// for the store's statements. A user may have the right to use a table and not
// the one to make it.
func (k *KV) look(ctx context.Context) error {
	rows, err := k.db.QueryContext(ctx, k.sql.look)
	if err != nil {
		return err
	}
	columns, err := rows.ColumnTypes()
	if drained := drain(rows, func() error { return nil }); drained != nil {
		return drained
	}
	if err != nil {
		return err
	}
	if columns[0].DatabaseTypeName() != "VARBINARY" || !strings.HasSuffix(columns[1].DatabaseTypeName(), "BLOB") {
		return errColumns
	}
	return k.lookAtEngine(ctx)
}

// lookAtEngine returns nil if the table takes batches back that fail, and tells
// its keys apart. A view answers neither question.
func (k *KV) lookAtEngine(ctx context.Context) error {
	rows, err := k.db.QueryContext(ctx, k.sql.engine)
	if err != nil {
		return err
	}
	view, transactions := true, false
	err = drain(rows, func() error {
		view = false
		return rows.Scan(&transactions)
	})
	switch {
	case err != nil || view:
		return err
	case !transactions:
		return errEngine
	}
	return k.lookAtKeys(ctx)
}

// lookAtKeys returns nil if k is unique as a whole and nothing else is: a write
// goes to the row that any of the unique indexes finds.
func (k *KV) lookAtKeys(ctx context.Context) error {
	rows, err := k.db.QueryContext(ctx, k.sql.keys)
	if err != nil {
		return err
	}
	columns, err := rows.Columns()
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	var (
		ordinary     bool
		name, column sql.NullString
		part         sql.NullInt64
	)
	into := make([]any, len(columns)) // servers differ in the last ones
	for i, title := range columns {
		switch strings.ToLower(title) {
		case "non_unique":
			into[i] = &ordinary
		case "key_name":
			into[i] = &name
		case "column_name":
			into[i] = &column
		case "sub_part":
			into[i] = &part
		default:
			into[i] = new(sql.RawBytes)
		}
	}
	found, sound := map[string]bool{}, true
	err = drain(rows, func() error {
		err := rows.Scan(into...)
		if err == nil && !ordinary {
			sound = sound && !found[name.String] && strings.EqualFold(column.String, "k") && !part.Valid
			found[name.String] = true
		}
		return err
	})
	if err == nil && (!sound || len(found) == 0) {
		err = errKey
	}
	return err
}

// drain calls fn at every row and closes rows, at the end of the answer if fn
// returns no error: the driver's Close would read the rest without looking at
// ctx.
func drain(rows *sql.Rows, fn func() error) error {
	defer rows.Close()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}
