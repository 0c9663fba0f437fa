package postgreskv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// fillDisk makes the kernel answer "no space left on device" when the table
// grows: its file, empty so far, becomes a link to /dev/full.
func fillDisk(tb testing.TB, s *servertest.Server) {
	tb.Helper()
	admin := session(tb, s)
	run(tb, admin, "TRUNCATE holdfast")
	var path string
	require.NoError(tb, admin.QueryRow(tb.Context(), "SELECT pg_relation_filepath('holdfast')").Scan(&path))
	s.Stop()
	path = filepath.Join(s.Dir(), "data", path)
	info, err := os.Stat(path)
	require.NoError(tb, err)
	require.Zero(tb, info.Size())
	require.NoError(tb, os.Remove(path))
	require.NoError(tb, os.Symlink("/dev/full", path))
	s.Start()
}

// versions returns those of the driver and of the server that runs.
func versions(t *testing.T) string {
	s := servertest.Postgres(t)
	var server string
	require.NoError(t, session(t, s).QueryRow(t.Context(), "SHOW server_version").Scan(&server))
	mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	require.NoError(t, err)
	_, driver, _ := strings.Cut(string(mod), "github.com/jackc/pgx/v5 ")
	driver, _, _ = strings.Cut(driver, "\n")
	server, _, _ = strings.Cut(server, " ")
	return "pgx " + driver + ", PostgreSQL " + server
}

func TestCompatibility(t *testing.T) {
	// with returns a state in which a store that has worked is found after spoil.
	with := func(cfg Config, spoil func(testing.TB, *servertest.Server, *KV)) func(testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			s, kv := onServer(tb, cfg)
			mustWork(tb, kv)
			spoil(tb, s, kv)
			return kv
		}
	}
	sql := func(statements ...string) func(testing.TB, *servertest.Server, *KV) {
		return func(tb testing.TB, s *servertest.Server, _ *KV) {
			admin := session(tb, s)
			for _, statement := range statements {
				run(tb, admin, statement)
			}
		}
	}
	// guest returns a store of a user who is nobody in particular.
	guest := func(tb testing.TB, s *servertest.Server, cfg Config) *KV {
		kv := open(tb, as(tb, s, "guest"), cfg)
		run(tb, session(tb, s), "GRANT SELECT, UPDATE, DELETE ON holdfast TO guest")
		return kv
	}
	compattest.Run(t, compattest.Section{
		Backend:  "postgreskv",
		Versions: versions(t),
		Facts: []compattest.Fact{
			{Name: "Largest key", Text: "512 bytes (the contract's; the index takes about 2700)"},
			{Name: "Largest value", Text: "16 MiB, up to 512 MiB with `Config.MaxValue`"},
			{Name: "Refused keys", Text: "none of the contract's domain"},
			{Name: "A batch", Text: "is atomic: one transaction, whatever its size"},
			{Name: "An acknowledged write", Text: "survives the death of the process and of the machine if the server has `fsync` and `synchronous_commit` on, " +
				"its defaults; the loss of the machine if `synchronous_standby_names` is set, too"},
			{Name: "Set on the driver", Text: "connections 8; connect, ping and clean-up 1 s each; `statement_timeout` and `idle_in_transaction_session_timeout` 10 s and " +
				"`lock_timeout` 1.5 s, so that no statement outlives its caller for long. pgx repeats no statement by itself"},
			{Name: "A full disk", Text: "is seen by `Health` only with `Config.Canary`"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: with(Config{}, func(testing.TB, *servertest.Server, *KV) {})},
			{Name: "well, with `Canary`", Works: true, Produce: with(Config{Canary: true}, func(testing.TB, *servertest.Server, *KV) {})},
			{Name: "killed (SIGKILL)", Produce: with(Config{}, func(tb testing.TB, s *servertest.Server, kv *KV) {
				s.Kill()
				_, err := kv.List(tb.Context(), "") // its connection is of the server's last life
				require.Error(tb, err)
			})},
			{Name: "frozen (SIGSTOP), connections idle", Produce: with(Config{}, func(_ testing.TB, s *servertest.Server, _ *KV) {
				idle()
				s.Freeze()
			})},
			{Name: "frozen (SIGSTOP), connections in use", Produce: func(tb testing.TB) resilient.KVWithHealth {
				s := servertest.Postgres(tb)
				kv := inUse(tb, servertest.PostgresURL(s), Config{})
				mustWork(tb, kv)
				warm(tb, kv, 3) // one for each call
				s.Freeze()
				return kv
			}},
			{Name: "`default_transaction_read_only` on", Produce: with(Config{}, func(tb testing.TB, s *servertest.Server, kv *KV) {
				admin := session(tb, s)
				run(tb, admin, "ALTER SYSTEM SET default_transaction_read_only = on")
				run(tb, admin, "SELECT pg_reload_conf()")
				require.Eventually(tb, func() bool { return kv.Health(tb.Context()) != nil }, patience, time.Millisecond)
			})},
			{Name: "a hot standby", Produce: func(tb testing.TB) resilient.KVWithHealth {
				primary, kv := onServer(tb, Config{})
				mustWork(tb, kv)
				return open(tb, servertest.PostgresURL(servertest.PostgresStandby(tb, primary)), Config{})
			}},
			{Name: "the table dropped", Produce: with(Config{}, sql("DROP TABLE holdfast"))},
			{Name: "the schema dropped", Produce: func(tb testing.TB) resilient.KVWithHealth {
				s := servertest.Postgres(tb)
				admin := session(tb, s)
				run(tb, admin, "CREATE SCHEMA app")
				kv := open(tb, servertest.PostgresURL(s), Config{Namespace: "app.holdfast"})
				mustWork(tb, kv)
				run(tb, admin, "DROP SCHEMA app CASCADE")
				return kv
			}},
			{Name: "a user without INSERT on the table", Produce: func(tb testing.TB) resilient.KVWithHealth {
				s, owner := onServer(tb, Config{})
				mustWork(tb, owner)
				return guest(tb, s, Config{})
			}},
			{Name: "`max_connections` reached", Produce: func(tb testing.TB) resilient.KVWithHealth {
				s, owner := onServer(tb, Config{}, "max_connections=4", "superuser_reserved_connections=1")
				mustWork(tb, owner)
				run(tb, session(tb, s), "GRANT ALL ON holdfast TO PUBLIC")
				url := as(tb, s, "guest")
				require.NoError(tb, owner.Close())
				warm(tb, open(tb, url, Config{}), 1) // the third session, and the last that is not for superusers
				return open(tb, url, Config{})
			}},
			{Name: "the table locked (ACCESS EXCLUSIVE)", Produce: with(Config{}, sql("BEGIN", "LOCK TABLE holdfast IN ACCESS EXCLUSIVE MODE"))},
			{Name: "the table locked, `LockTimeout` off", Produce: with(Config{LockTimeout: -1}, sql("BEGIN", "LOCK TABLE holdfast IN ACCESS EXCLUSIVE MODE"))},
			{Name: "shutting down, waiting for other sessions", Produce: func(tb testing.TB) resilient.KVWithHealth {
				s, kv := onServer(tb, Config{})
				mustWork(tb, kv)
				session(tb, s)
				shutDown(tb, s)
				require.Eventually(tb, func() bool {
					kv.pool.Reset()
					return hasState(kv.Health(tb.Context()), "57P03")
				}, patience, time.Millisecond)
				return kv
			}},
			{Name: "disk full, with `Canary`", Produce: with(Config{Canary: true}, func(tb testing.TB, s *servertest.Server, kv *KV) {
				fillDisk(tb, s)
				_, _ = kv.List(tb.Context(), "") // finds out that its connection is of the server's last life
			})},
		},
	})
}
