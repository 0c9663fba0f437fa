package mysqlkv

import (
	"database/sql"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// late is when a call that should have ended with its ctx is too late. What is
// promised is 500 ms; the rest is for a machine under load.
const late = 1500 * time.Millisecond

// opened counts the namespaces of this process.
var opened atomic.Int64

// open opens a store on s, in a table of its own unless cfg names one.
func open(tb testing.TB, s *servertest.Server, cfg Config) *KV {
	tb.Helper()
	if cfg.Namespace == "" {
		cfg.Namespace = fmt.Sprint("ns_", opened.Add(1))
	}
	kv, err := Open(servertest.MySQLDSN(s), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

// admin returns a pool of a user who may do everything.
func admin(tb testing.TB, s *servertest.Server) *sql.DB {
	tb.Helper()
	db, err := sql.Open("mysql", servertest.MySQLAdminDSN(s))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

// run runs statements on db.
func run(tb testing.TB, db execer, statements ...string) {
	tb.Helper()
	for _, statement := range statements {
		_, err := db.ExecContext(tb.Context(), statement)
		require.NoError(tb, err, statement)
	}
}
