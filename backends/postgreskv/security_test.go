package postgreskv

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

const nowhere = "postgres://user:SECRET@127.0.0.1:1/db?sslmode=disable"

// secretless checks every way to print v.
func secretless(tb testing.TB, v any, secrets ...string) {
	tb.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, v)
		for _, secret := range secrets {
			require.NotContains(tb, text, secret, verb)
		}
	}
}

func TestS1_NamesThatAreNotNamesAreRefused(t *testing.T) {
	for _, name := range []string{
		"a b", "a;b", `a"b`, `"a"`, "a'b", "a-b", "1a", ".a", "a.", "a..b", "a.b.c", "a\x00", "é", "a\n", "*", "%",
		"t (a int); CREATE TABLE pwned", strings.Repeat("x", 64), "a." + strings.Repeat("x", 64),
	} {
		_, err := Open(nowhere, Config{Namespace: name})
		require.ErrorContains(t, err, "Config.Namespace", name)
	}
	for _, name := range []string{"a", "_", "A1", "order", "a.b", strings.Repeat("x", 63) + "." + strings.Repeat("y", 63)} {
		open(t, nowhere, Config{Namespace: name})
	}
}

func FuzzANamespaceThatIsTakenIsOneName(f *testing.F) {
	for _, seed := range []string{"holdfast", "a.b", `a"; DROP TABLE b; --`, "a.b.c", ""} {
		f.Add(seed)
	}
	quoted := regexp.MustCompile(`^"[A-Za-z0-9_]{1,63}"(\."[A-Za-z0-9_]{1,63}")?$`)
	f.Fuzz(func(t *testing.T, namespace string) {
		cfg := Config{Namespace: namespace}.withDefaults()
		if cfg.validate() == nil {
			require.Regexp(t, quoted, cfg.table())
		}
	})
}

func TestS32_EveryFaultOfTheConfigIsToldAtOnce(t *testing.T) {
	_, err := Open(nowhere, Config{Namespace: "a b", DialTimeout: -1, PoolSize: -1, MaxValue: -1})
	for _, field := range []string{"Namespace", "DialTimeout", "PoolSize", "MaxValue"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	_, err = New(nil, Config{})
	require.Error(t, err)
	_, err = Open("", Config{})
	require.Error(t, err)
}

func TestS2_AProtocolThatMakesKeysPartOfTheSQLIsRefused(t *testing.T) {
	const simple = nowhere + "&default_query_exec_mode=simple_protocol"
	_, err := Open(simple, Config{})
	require.ErrorContains(t, err, "simple_protocol")
	pool, err := pgxpool.New(t.Context(), simple)
	require.NoError(t, err)
	defer pool.Close()
	_, err = New(pool, Config{})
	require.ErrorContains(t, err, "simple_protocol")
	for name, sql := range map[string]string{"get": newStatements(`"t"`).get, "set": newStatements(`"t"`).set, "list": newStatements(`"t"`).listTo} {
		require.Contains(t, sql, "$1::bytea", name)
	}
}

func TestS9_AURLThatCannotBeReadIsNotShown(t *testing.T) {
	for _, url := range []string{
		"postgres://user:SECRET@host:port/db", "postgres://user:SEC/SECRET@host/db", "postgres://user:SECRET@[::1/db",
		"postgres://user:SECRET%zz@host/db", "host=h password=SECRET port=x",
		"host=h password='SECRET", "postgres://u@h/db?password=SECRET&sslmode=odd", "postgres://u@h/db?password=SECRET&pool_max_conns=no",
		"postgres://user:SECRET@host/db?connect_timeout=no", "SECRET", "mysql://user:SECRET@host/db",
	} {
		_, err := Open(url, Config{})
		require.Error(t, err, url)
		secretless(t, err, "SECRET")
		var parse *pgconn.ParseConfigError
		require.False(t, errors.As(err, &parse), "it has the URL in a field")
	}
}

func TestS8_NoErrorHoldsAPassword(t *testing.T) {
	s := servertest.Postgres(t)
	for _, url := range []string{
		nowhere,
		"postgres://user:x@SECRET@127.0.0.1:1/db?sslmode=disable", // what follows the first @ is the host
		"postgres://user:1/SECRET@127.0.0.1/db?sslmode=disable",   // no password at all
		strings.Replace(servertest.PostgresURL(s), "SECRET", "SECRET-wrong", 1),
		strings.Replace(servertest.PostgresURL(s), "/postgres?", "/nowhere?", 1),
		servertest.PostgresURL(s),
	} {
		kv, err := Open(url, Config{Namespace: "missing.missing"})
		require.NoError(t, err)
		secretless(t, kv, "SECRET")
		secretless(t, kv.cfg, "SECRET")
		for _, o := range operations(kv) {
			err := o.call(t.Context())
			require.Error(t, err)
			secretless(t, err, "SECRET")
		}
		require.NoError(t, kv.Close())
		secretless(t, kv.Health(t.Context()), "SECRET")
	}
}

func TestS11_NoErrorHoldsAKeyOrAValue(t *testing.T) {
	s, kv := onServer(t, Config{})
	mustWork(t, kv)
	const key, value = "KEY-of-a-customer", "VALUE-of-a-customer"
	hex := func(s string) string { return fmt.Sprintf("%x", s) }
	for name, ddl := range map[string]string{
		"a check's detail has the row": `ALTER TABLE holdfast ADD CHECK (octet_length(value) < 10)`,
		"a trigger's message has what it likes": `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION '% %', convert_from(new.key, 'UTF8'), convert_from(new.value, 'UTF8') USING ERRCODE = convert_from(substr(new.key, 1, 3) || 'XX'::bytea, 'UTF8'); END $$;
			CREATE TRIGGER tell BEFORE INSERT ON holdfast FOR EACH ROW EXECUTE FUNCTION tell()`,
	} {
		run(t, session(t, s), ddl)
		for _, err := range []error{
			kv.SetRaw(t.Context(), key, []byte(value)),
			kv.BatchSetRaw(t.Context(), map[string][]byte{key: []byte(value), "b": nil}),
		} {
			require.Error(t, err, name)
			secretless(t, err, key, value, hex(key), hex(value))
		}
	}
}

func TestS2_KeysThatMeanSomethingToOthersAreJustKeys(t *testing.T) {
	ctx := t.Context()
	_, kv := onServer(t, Config{})
	keys := []string{
		"A", "a", "a ", "a%", "a_", `a\`, "a'; DROP TABLE holdfast; --", `a"`, "a*", "a[", "a$1", "a?", "ab", "e", "é", "e\u0301", `\x61`, "../a", "//",
	}
	for i, key := range keys {
		require.NoError(t, kv.SetRaw(ctx, key, []byte{byte(i)}))
	}
	for i, key := range keys {
		value, err := kv.GetRaw(ctx, key)
		require.NoError(t, err)
		require.Equal(t, []byte{byte(i)}, value, "%q", key)
		found, err := kv.BatchGetRaw(ctx, []string{key})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{key: {byte(i)}}, found)
		var want []string
		for _, other := range keys {
			if strings.HasPrefix(other, key) {
				want = append(want, other)
			}
		}
		listed, err := kv.List(ctx, key)
		require.NoError(t, err)
		require.ElementsMatch(t, want, listed, "%q", key)
	}
	require.NoError(t, kv.BatchDelete(ctx, []string{"a%", "a_", "%"}))
	left, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Len(t, left, len(keys)-2)
}

func TestS13_RequireTLSTakesOnlyVerifiedConnections(t *testing.T) {
	s, root := servertest.PostgresTLS(t)
	base, _, _ := strings.Cut(servertest.PostgresURL(s), "?")
	for _, mode := range []string{"", "disable", "allow", "prefer", "require"} {
		url := base + "?sslmode=" + mode
		if mode == "" {
			url = base
		}
		_, err := Open(url, Config{RequireTLS: true})
		require.ErrorContains(t, err, "RequireTLS", mode)
		secretless(t, err, "SECRET")
		pool, err := pgxpool.New(t.Context(), url)
		require.NoError(t, err)
		_, err = New(pool, Config{RequireTLS: true})
		require.ErrorContains(t, err, "RequireTLS", mode)
		pool.Close()
	}
	pc, err := pgxpool.ParseConfig(base + "?sslmode=prefer")
	require.NoError(t, err)
	pc.ConnConfig.TLSConfig = &tls.Config{ServerName: "localhost"} // the way back to plaintext is left open
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	require.NoError(t, err)
	defer pool.Close()
	_, err = New(pool, Config{RequireTLS: true})
	require.ErrorContains(t, err, "RequireTLS")

	for _, mode := range []string{"verify-ca", "verify-full"} {
		kv := open(t, base+"?sslmode="+mode+"&sslrootcert="+root, Config{RequireTLS: true})
		mustWork(t, kv)
		var encrypted bool
		require.NoError(t, kv.pool.QueryRow(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted))
		require.True(t, encrypted)

		stranger := open(t, base+"?sslmode="+mode, Config{RequireTLS: true, Namespace: "a"}) // the system's roots do not know it
		err := stranger.SetRaw(t.Context(), "key", nil)
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorContains(t, err, "certificate")
	}
}

func TestRegression_RequireTLSWasDroppedByThePoolsBeforeConnect(t *testing.T) {
	s, root := servertest.PostgresTLS(t)
	base, _, _ := strings.Cut(servertest.PostgresURL(s), "?")
	pc, err := pgxpool.ParseConfig(base + "?sslmode=verify-full&sslrootcert=" + root)
	require.NoError(t, err)
	harm := func(*pgx.ConnConfig) {}
	pc.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		harm(c)
		return nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	require.NoError(t, err)
	defer pool.Close()
	kv, err := New(pool, Config{RequireTLS: true})
	require.NoError(t, err)
	lax, err := New(pool, Config{})
	require.NoError(t, err)
	mustWork(t, lax)
	mustWork(t, kv) // on the same connection
	mustWork(t, kv)

	harm = func(c *pgx.ConnConfig) { c.TLSConfig = nil }
	pool.Reset()
	mustWork(t, lax) // a connection that one store has passed
	for _, o := range operations(kv) {
		err := o.call(t.Context())
		require.ErrorIs(t, err, errPlaintext, o.name)
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.ErrorContains(t, err, "RequireTLS", o.name)
	}
	harm = func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol }
	pool.Reset()
	for _, store := range []*KV{kv, lax} {
		require.ErrorIs(t, store.SetRaw(t.Context(), "key", nil), errSimple)
	}
}
