package mysqlkv

import (
	"context"
	"database/sql"
	"strings"
	"sync/atomic"
)

const (
	// maxKey is the longest key of the contract and the width of the column.
	maxKey = 512
	// packetRoom is what a packet needs beside the value: the key and headers.
	packetRoom = 4 << 10
	// leastValue is what every store must take.
	leastValue = 512 << 10
)

// statements are the SQL of one table, made once from a name that was checked.
type statements struct {
	look, engine, keys, create              string
	get, set, del, list, tryWrite, trySweep statement
	// A batch has as many placeholders as keys between these.
	getMany, delMany, setMany, setManyEnd string
}

// statement is prepared at its first use, and then kept: database/sql prepares
// it again on each further connection. A call costs one round trip then.
type statement struct {
	text string
	made atomic.Pointer[sql.Stmt]
}

func newStatements(namespace string) statements {
	t := quote(namespace)
	const upsert = " ON DUPLICATE KEY UPDATE v = VALUES(v)" // REPLACE would delete the row first
	return statements{
		look:   "SELECT k, v FROM " + t + " LIMIT 0",
		engine: transactional(namespace),
		keys:   "SHOW KEYS FROM " + t,
		create: "CREATE TABLE IF NOT EXISTS " + t + " (k VARBINARY(512) NOT NULL PRIMARY KEY, v LONGBLOB NOT NULL) ENGINE=InnoDB",
		get:    statement{text: "SELECT v FROM " + t + " WHERE k = ?"},
		set:    statement{text: "INSERT INTO " + t + " (k, v) VALUES (?, ?)" + upsert},
		del:    statement{text: "DELETE FROM " + t + " WHERE k = ?"},
		list:   statement{text: "SELECT k FROM " + t + " WHERE k >= ? AND k < ? ORDER BY k LIMIT ?"},
		tryWrite: statement{text: "INSERT INTO " + t + " (k, v) SELECT s.k, s.v FROM " + t + " AS s WHERE FALSE" +
			" ON DUPLICATE KEY UPDATE " + t + ".v = VALUES(v)"},
		trySweep:   statement{text: "DELETE FROM " + t + " WHERE k = '' LIMIT 1"},
		getMany:    "SELECT k, v FROM " + t + " WHERE k IN (?",
		delMany:    "DELETE FROM " + t + " WHERE k IN (?",
		setMany:    "INSERT INTO " + t + " (k, v) VALUES (?, ?)",
		setManyEnd: upsert,
	}
}

// transactional returns the statement that asks whether the table's engine has
// transactions. A view has none of its own, and no answer. The schema's tables
// are compared without case by some servers: the very name comes first.
func transactional(namespace string) string {
	schema, table := "DATABASE()", namespace
	if database, name, ok := strings.Cut(namespace, "."); ok {
		schema, table = "'"+database+"'", name
	}
	return "SELECT e.transactions = 'YES' FROM information_schema.tables AS t" +
		" JOIN information_schema.engines AS e ON e.engine = t.engine" +
		" WHERE t.table_schema = " + schema + " AND t.table_name = '" + table + "'" +
		" ORDER BY CAST(t.table_name AS BINARY) = '" + table + "' DESC LIMIT 1"
}

// many returns the text of a statement on n keys, or rows.
func (s *statements) many(begin string, n int) string {
	if begin == s.setMany {
		return begin + strings.Repeat(", (?, ?)", n-1) + s.setManyEnd
	}
	return begin + strings.Repeat(", ?", n-1) + ")"
}

// close closes what was prepared on a borrowed pool.
func (s *statements) close() {
	for _, st := range []*statement{&s.get, &s.set, &s.del, &s.list, &s.tryWrite, &s.trySweep} {
		if made := st.made.Load(); made != nil {
			_ = made.Close()
		}
	}
}

// prepared returns s, prepared. Its error is an *unsent.
func (k *KV) prepared(ctx context.Context, s *statement) (*sql.Stmt, error) {
	if made := s.made.Load(); made != nil {
		return made, nil
	}
	if err := k.meet(ctx); err != nil {
		return nil, err
	}
	made, err := k.db.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, before(preparing, err)
	}
	if !s.made.CompareAndSwap(nil, made) {
		_ = made.Close() // somebody else was faster
	}
	return s.made.Load(), nil
}
