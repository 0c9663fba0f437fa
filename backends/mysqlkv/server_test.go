package mysqlkv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// execer runs a statement: a pool, or one connection.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// freeze stops the server and waits until it has: a signal reaches the last of
// its threads some time after it was sent.
func freeze(tb testing.TB, server *servertest.Server) {
	tb.Helper()
	server.Freeze()
	require.Eventually(tb, func() bool {
		c, err := net.Dial("tcp", server.Addr())
		require.NoError(tb, err)
		defer c.Close()
		require.NoError(tb, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		_, err = c.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded)
	}, patience, time.Millisecond)
}

// manyWith returns a batch of several statements of which the last one has key.
func manyWith(key string) map[string][]byte {
	many := map[string][]byte{key: nil}
	for i := range batchRows {
		many[fmt.Sprintf("bulk %04d", i)] = nil
	}
	return many
}

// connections gives kv's pool n connections.
func connections(tb testing.TB, kv *KV, n int) {
	tb.Helper()
	var held []*sql.Conn
	for range n {
		conn, err := kv.db.Conn(tb.Context())
		require.NoError(tb, err)
		held = append(held, conn)
	}
	for _, conn := range held {
		require.NoError(tb, conn.Close())
	}
}

// killed lets kv wait for a row that somebody else has locked, and ends its
// statement or its connection meanwhile.
func killed(tb testing.TB, db *sql.DB, kv *KV, kill string) error {
	tb.Helper()
	tx, err := db.Begin()
	require.NoError(tb, err)
	defer func() { require.NoError(tb, tx.Rollback()) }()
	_, err = tx.Exec("UPDATE " + kv.cfg.Namespace + " SET v = 'other' WHERE k = 'key'")
	require.NoError(tb, err)
	done := make(chan error, 1)
	go func() { done <- kv.SetRaw(tb.Context(), "key", []byte("value")) }()
	var id int64
	require.Eventually(tb, func() bool {
		return db.QueryRow("SELECT id FROM information_schema.processlist WHERE user = 'holdfast' AND command = 'Execute' AND info LIKE 'INSERT%'").Scan(&id) == nil
	}, patience, 5*time.Millisecond)
	run(tb, db, fmt.Sprint(kill, " ", id))
	return <-done
}

// writeConfig sets what the server reads when it starts the next time.
func writeConfig(tb testing.TB, server *servertest.Server, text string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(filepath.Join(server.Dir(), "my.cnf"), []byte(text), 0o644))
}
