package mysqlkv

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	// in returns what produces a state: a store that has worked, on a server of
	// its own to which do is done.
	in := func(do func(tb testing.TB, server *servertest.Server, db *sql.DB, kv *KV)) func(testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.MySQL(tb)
			db := admin(tb, server)
			kv := open(tb, server, Config{Namespace: "compat"})
			require.NoError(tb, kv.SetRaw(tb.Context(), "compat", []byte("before")))
			do(tb, server, db, kv)
			return kv
		}
	}
	sql1 := func(statements ...string) func(testing.TB) resilient.KVWithHealth {
		return in(func(tb testing.TB, _ *servertest.Server, db *sql.DB, _ *KV) { run(tb, db, statements...) })
	}
	// held runs a statement on a connection that stays until the test ends.
	held := func(statement string) func(testing.TB) resilient.KVWithHealth {
		return in(func(tb testing.TB, _ *servertest.Server, db *sql.DB, _ *KV) {
			conn, err := db.Conn(tb.Context())
			require.NoError(tb, err)
			tb.Cleanup(func() { _ = conn.Close() })
			_, err = conn.ExecContext(tb.Context(), statement)
			require.NoError(tb, err)
		})
	}
	states := []compattest.State{
		{Name: "well", Works: true, Produce: in(func(testing.TB, *servertest.Server, *sql.DB, *KV) {})},
		{Name: "killed (SIGKILL)", Produce: in(func(_ testing.TB, s *servertest.Server, _ *sql.DB, _ *KV) { s.Kill() })},
		{Name: "frozen (SIGSTOP)", Produce: in(func(tb testing.TB, s *servertest.Server, _ *sql.DB, kv *KV) {
			warm(tb, kv)
			connections(tb, kv, 3) // one for each call, or the second would not be sent
			freeze(tb, s)
			tb.Cleanup(s.Wake)
		})},
		{Name: "`read_only`, to a user without the right to write in it", Produce: sql1("SET GLOBAL read_only = 1")},
		{Name: "`read_only`, to a user with that right", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.MySQL(tb)
			db := admin(tb, server)
			kv := as(tb, server, db, "replicator", Config{}, "ALL ON *.*")
			require.NoError(tb, kv.Health(tb.Context()))
			run(tb, db, "SET GLOBAL read_only = 1")
			return kv
		}},
		{Name: "`innodb_read_only`", Produce: in(func(tb testing.TB, s *servertest.Server, _ *sql.DB, _ *KV) {
			writeConfig(tb, s, "[mysqld]\ninnodb_read_only=1\n")
			s.Stop()
			s.Start()
		})},
		{Name: "a replica that applies another server's writes", NotProduced: "to a client it is a server in `read_only`"},
		{Name: "table dropped", Produce: sql1("DROP TABLE holdfast.compat")},
		{Name: "database dropped", Produce: sql1("DROP DATABASE holdfast")},
		{Name: "user without `INSERT`", Produce: func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.MySQL(tb)
			db := admin(tb, server)
			require.NoError(tb, open(tb, server, Config{Namespace: "compat"}).Health(tb.Context()))
			return as(tb, server, db, "reader", Config{Namespace: "compat"}, "SELECT, UPDATE, DELETE ON holdfast.compat")
		}},
		{Name: "user without `DELETE`", Produce: func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.MySQL(tb)
			db := admin(tb, server)
			require.NoError(tb, open(tb, server, Config{Namespace: "compat"}).Health(tb.Context()))
			return as(tb, server, db, "keeper", Config{Namespace: "compat"}, "SELECT, INSERT, UPDATE ON holdfast.compat")
		}},
		{Name: "too many connections", Produce: func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.MySQL(tb, "--max-connections=10")
			db := admin(tb, server)
			for range 11 { // one more than others get, for this user has the right to
				conn, err := db.Conn(tb.Context())
				if err != nil {
					break
				}
				tb.Cleanup(func() { _ = conn.Close() })
			}
			return open(tb, server, Config{})
		}},
		{Name: "`LOCK TABLES ... WRITE` by another session", Produce: held("LOCK TABLES compat WRITE")},
		{Name: "`FLUSH TABLES WITH READ LOCK`", Produce: held("FLUSH TABLES WITH READ LOCK")},
		{Name: "disk full: a value is replaced by one as long (new ones are refused with error 1114, or hang; `Health` does not know)", Produce: diskFull},
	}
	compattest.Run(t, compattest.Section{
		Backend:  "mysqlkv",
		Versions: "go-sql-driver/mysql v1.10.1 on " + serverVersion(t),
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, 15 MiB by default, and less if the server's `max_allowed_packet` is less than 4 KiB above it."},
			{Name: "Refused keys", Text: "none of the contract's."},
			{Name: "A batch", Text: "is one transaction: atomic."},
			{Name: "Durability", Text: "an acknowledged write survives the death of the server and of its machine if `innodb_flush_log_at_trx_commit` is 1, the default; with 0 or 2 up to a second is lost. It reaches replicas later unless they are semi-synchronous or a Galera or group-replication cluster."},
			{Name: "Set on the driver", Text: "`interpolateParams`, `multiStatements`, `allowAllFiles`, `rejectReadOnly` off, whatever the DSN says; every connection begins with `autocommit = 1`, a strict `sql_mode`, no `sql_select_limit`, one character set for all that is sent, and lock waits of at most `Config.Timeout`, after which a write that its caller has left is not applied any more."},
		},
		States: states,
	})
}

// serverVersion starts a server to ask for its version.
func serverVersion(tb testing.TB) (version string) {
	tb.Helper()
	require.NoError(tb, admin(tb, servertest.MySQL(tb)).QueryRow("SELECT VERSION()").Scan(&version))
	return version
}
