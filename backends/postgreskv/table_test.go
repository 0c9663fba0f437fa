package postgreskv

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestTwelveStoresThatMeetTheirTableAtOnceAllWork(t *testing.T) {
	s := servertest.Postgres(t)
	for range 10 {
		namespace := freshNamespace()
		var all sync.WaitGroup
		errs, start := make([]error, 12), make(chan struct{})
		for i := range errs {
			kv := open(t, servertest.PostgresURL(s), Config{Namespace: namespace, PoolSize: 1})
			warm(t, kv, 1)
			all.Go(func() {
				<-start
				if i%2 == 0 {
					errs[i] = kv.SetRaw(t.Context(), "key", nil)
				} else {
					errs[i] = kv.Health(t.Context())
				}
				errs[i] = errors.Join(errs[i], kv.Close())
			})
		}
		close(start)
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

func TestATableThatIsDroppedIsNotMadeAnewInSilence(t *testing.T) {
	s, kv := onServer(t, Config{})
	mustWork(t, kv)
	other := session(t, s)
	run(t, other, "DROP TABLE holdfast")
	for range 2 {
		for _, o := range operations(kv) {
			err := o.call(t.Context())
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.ErrorContains(t, err, "the table is not there", o.name)
			require.Equal(t, resilient.Refused, kv.Classify(err))
		}
	}
	// Connections have prepared statements on the old table.
	run(t, other, "CREATE TABLE holdfast (key bytea PRIMARY KEY, value bytea NOT NULL)")
	mustWork(t, kv)
}

// as returns a URL of s for a user without rights.
func as(tb testing.TB, s *servertest.Server, user string) string {
	tb.Helper()
	run(tb, session(tb, s), "CREATE USER "+user+" PASSWORD 'secret'")
	return "postgres://" + user + ":secret@" + s.Addr() + "/postgres?sslmode=disable"
}

func TestAUserWhoMayNotCreateUsesATableThatIsThere(t *testing.T) {
	s, owner := onServer(t, Config{})
	kv := open(t, as(t, s, "guest"), Config{})
	for _, o := range operations(kv) {
		require.ErrorIs(t, o.call(t.Context()), resilient.ErrRefused, o.name)
		require.ErrorContains(t, o.call(t.Context()), "42501", o.name)
	}
	mustWork(t, owner)
	run(t, session(t, s), "GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast TO guest")
	mustWork(t, kv)
}

func TestRegression_ANullOfSomebodyElsesWasANilValueWithoutAnError(t *testing.T) {
	s, kv := onServer(t, Config{})
	run(t, session(t, s), "CREATE TABLE holdfast (key bytea PRIMARY KEY, value bytea)")
	run(t, session(t, s), "INSERT INTO holdfast VALUES ('key', NULL)")
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, []byte{}, value)
	values, err := kv.BatchGetRaw(t.Context(), []string{"key"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"key": {}}, values)
}

func TestHealthMissesEachRightThatTheStoreNeeds(t *testing.T) {
	s, owner := onServer(t, Config{})
	mustWork(t, owner)
	admin := session(t, s)
	kv := open(t, as(t, s, "guest"), Config{})
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		run(t, admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON holdfast TO guest")
		require.NoError(t, kv.Health(t.Context()))
		run(t, admin, "REVOKE "+right+" ON holdfast FROM guest")
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused, right)
	}
}

func TestAReadOnlyServerIsReadAndUnhealthy(t *testing.T) {
	s, kv := onServer(t, Config{})
	mustWork(t, kv)
	admin := session(t, s)
	run(t, admin, "ALTER SYSTEM SET default_transaction_read_only = on")
	run(t, admin, "SELECT pg_reload_conf()")
	fresh := open(t, servertest.PostgresURL(s), Config{})
	require.Eventually(t, func() bool { return fresh.Health(t.Context()) != nil }, patience, 1)
	for _, o := range operations(fresh) {
		err := o.call(t.Context())
		if o.writes || o.name == "Health" {
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.ErrorContains(t, err, "read-only", o.name)
			continue
		}
		require.NoError(t, err, o.name)
	}
	lost := open(t, servertest.PostgresURL(s), Config{Namespace: "never_made"})
	_, err := lost.GetRaw(t.Context(), "key")
	require.ErrorIs(t, err, resilient.ErrRefused, "no table, and none can be made")
}

func TestATableOfAnotherShapeIsUnhealthy(t *testing.T) {
	s := servertest.Postgres(t)
	admin := session(t, s)
	for table, columns := range map[string]string{
		"texts":     "key text PRIMARY KEY, value bytea",
		"folded":    "key bytea PRIMARY KEY, value text",
		"jsons":     "key bytea PRIMARY KEY, value jsonb",
		"strangers": "id int PRIMARY KEY",
		"heaps":     "key bytea, value bytea",
	} {
		run(t, admin, "CREATE TABLE "+table+" ("+columns+")")
		kv := open(t, servertest.PostgresURL(s), Config{Namespace: table})
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused, table)
	}
}

func TestASchemaInTheNamespaceIsUsedAndNotMade(t *testing.T) {
	s := servertest.Postgres(t)
	kv := open(t, servertest.PostgresURL(s), Config{Namespace: "Keep.select"})
	require.ErrorContains(t, kv.SetRaw(t.Context(), "key", nil), "no such schema")
	run(t, session(t, s), `CREATE SCHEMA "Keep"`)
	mustWork(t, kv)
}

func TestTheCanaryIsInNoAnswer(t *testing.T) {
	ctx := t.Context()
	_, kv := onServer(t, Config{Canary: true})
	mustWork(t, kv)
	require.NoError(t, kv.Health(ctx))
	var rows int
	require.NoError(t, kv.pool.QueryRow(ctx, "SELECT count(*) FROM holdfast WHERE key = $1", canaryKey).Scan(&rows))
	require.Equal(t, 1, rows)
	for _, prefix := range []string{"", "\x00", "\x00\x00", "key"} {
		keys, err := kv.List(ctx, prefix)
		require.NoError(t, err)
		require.NotContains(t, keys, string(canaryKey), "%q", prefix)
	}
	_, err := kv.GetRaw(ctx, string(canaryKey))
	require.ErrorIs(t, err, resilient.ErrInvalidKey)
}

func TestEveryWayToExecuteAStatementWorks(t *testing.T) {
	s := servertest.Postgres(t)
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec"} {
		kv := open(t, servertest.PostgresURL(s)+"&default_query_exec_mode="+mode, Config{Namespace: freshNamespace()})
		mustWork(t, kv)
		require.NoError(t, kv.SetRaw(t.Context(), "binary", []byte("\x00\xff\\x")), mode)
		value, err := kv.GetRaw(t.Context(), "binary")
		require.NoError(t, err, mode)
		require.Equal(t, "\x00\xff\\x", string(value), mode)
	}
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	s, kv := onServer(t, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	run(t, session(t, s), `INSERT INTO holdfast VALUES ('\x6c696e650a66656564'::bytea, ''), ('\xff'::bytea, '')`)
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	for prefix, want := range map[string][]string{"k": {"key"}, "line": {}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys)
	}
}
