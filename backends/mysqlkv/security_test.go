package mysqlkv

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestS1_OnlyPlainNamesAreNamespaces(t *testing.T) {
	const dsn = "user:password@tcp(127.0.0.1:1)/db"
	for _, good := range []string{"holdfast", "a", "_", "A_1", "db.table", strings.Repeat("a", 63), strings.Repeat("a", 63) + "." + strings.Repeat("b", 63)} {
		kv, err := Open(dsn, Config{Namespace: good})
		require.NoError(t, err, good)
		require.NoError(t, kv.Close())
	}
	for _, bad := range []string{
		" ", "1a", "a b", "a-b", "a;b", "a`b", "a`", "`a`", "a'b", `a"b`, "a.b.c", ".a", "a.", ".", "a\n", "a\x00", "ä", "a/*", "a--", "*", "a%", `a\`,
		"zz (a int); CREATE TABLE pwned", strings.Repeat("a", 64), "a." + strings.Repeat("b", 64),
	} {
		_, err := Open(dsn, Config{Namespace: bad})
		require.ErrorContains(t, err, "Config.Namespace", "%q", bad)
		if len(bad) > 5 {
			require.NotContains(t, err.Error(), bad)
		}
	}
}

func FuzzANamespaceIsOneTableAndNothingElse(f *testing.F) {
	for _, seed := range []string{"holdfast", "db.table", "a`; DROP TABLE b", "a.b.c", "", "ä.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if (Config{Namespace: name}).validate() != nil {
			return
		}
		inner := strings.ReplaceAll(quote(name), "`.`", "")
		require.Equal(t, strings.ReplaceAll(name, ".", ""), inner[1:len(inner)-1])
		require.NotContains(t, inner[1:len(inner)-1], "`")
		require.LessOrEqual(t, strings.Count(name, "."), 1)
	})
}

func TestS32_EveryFaultOfAConfigIsReportedAtOnce(t *testing.T) {
	_, err := Open("", Config{Namespace: "no good", DialTimeout: -1, PoolSize: -1, MaxValue: -1})
	for _, field := range []string{"Namespace", "DialTimeout", "PoolSize", "MaxValue"} {
		require.ErrorContains(t, err, "Config."+field)
	}
	_, err = New(nil, Config{})
	require.Error(t, err)
	_, err = Open("user@tcp(host)/db", Config{MaxValue: 1 << 30})
	require.ErrorContains(t, err, "Config.MaxValue")
	_, err = Open("user@tcp(host)/", Config{})
	require.ErrorContains(t, err, "names a database")
	kv, err := Open("user@tcp(host)/", Config{Namespace: "db.table"})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
}

func TestS9_NoErrorShowsAnyOfTheDSN(t *testing.T) {
	const canary = "canary-secret"
	for _, dsn := range []string{
		"", "user:" + canary + "@host:3306/db", "user:" + canary + "@tcp(host:3306)", "user:" + canary + "@tcp(host:3306/db",
		"mysql://user:" + canary + "@host/db", "user:" + canary, "user:" + canary + "/db", "user:" + canary + "@" + canary + "/db",
		"user:" + canary + "@tcp(host)/db?parseTime=" + canary, "user:" + canary + "@tcp(host)/db?tls=" + canary,
		"user:" + canary + "@tcp(host)/%" + canary, "user:" + canary + "@tcp(host)/db?timeout=" + canary,
		"user:" + canary + "@tcp(host)/db?loc=" + canary, "user:" + canary + "@tcp(host)/db?serverPubKey=" + canary,
		"user:" + canary + "@tcp(host)/db?collation=" + canary, "user:" + canary + "@unix/db", "user:" + canary + "@udp(" + canary + ")/db",
		"user:pass@tcp(" + canary + ":99999)/db", "user:pass@tcp(" + canary + ")/db",
	} {
		kv, err := Open(dsn, Config{DialTimeout: 1})
		if err == nil {
			err = errors.Join(kv.SetRaw(t.Context(), "key", nil), kv.Health(t.Context()))
			require.Error(t, err, dsn)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", kv, kv, kv), canary)
			require.NoError(t, kv.Close())
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%q", err)} {
			require.NotContains(t, text, canary, dsn)
		}
	}
}

func TestS8_NothingThatIsPrintedShowsThePassword(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{})
	warm(t, kv)
	server.Kill()
	for _, o := range operations(kv) {
		err := o.call(t.Context())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(verb, err), servertest.MySQLPassword, o.name)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, x := range []any{kv, kv.cfg, kv.db} {
			require.NotContains(t, fmt.Sprintf(verb, x), servertest.MySQLPassword)
		}
	}
}

func TestS11_TheServersWordsAreNotPrinted(t *testing.T) {
	// "Duplicate entry 'key'", "near 'value'": an error's number says enough.
	server := &mysql.MySQLError{Number: 1062, SQLState: [5]byte{'2', '3', '0', '0', '0'}, Message: "Duplicate entry 'canary'"}
	for _, err := range []error{server, fmt.Errorf("wrapped canary: %w", server), errors.New("canary"), &mysql.MySQLError{Number: 1290, Message: "canary"}} {
		shown := printable(err)
		require.NotContains(t, shown.Error(), "canary")
		require.ErrorIs(t, shown, err)
		require.NotContains(t, before(meeting, err).Error(), "canary")
	}
	require.Equal(t, "error 1062", printable(server).Error())
}

func TestS2_KeysThatLookAlikeOrLikeSQLAreThemselves(t *testing.T) {
	kv := open(t, servertest.MySQL(t), Config{})
	ctx := t.Context()
	keys := []string{
		"a", "A", "a ", "a  ", "\u00e1", "a\u0301", "ä", "ae", "ß", "ss", "İ", "i", "ı", "æ", "ﬀ", "ff",
		"%", "_", "a%", "a_", "a_b", "axb", `a\`, `a\_b`, "a'b", `a"b`, "a`b", "a;b", "a--b", "a/*b", "' OR '1'='1", "'; DROP TABLE holdfast; --",
		"0", "00", "0x41", "1e1", "10", "NULL", "null", "\u00a0", "a\u00a0", "\ufeffa", "\U0001f600", "\U0010ffff",
	}
	all := map[string][]byte{}
	for _, key := range keys {
		all[key] = []byte(key)
		require.NoError(t, kv.SetRaw(ctx, key, all[key]))
	}
	require.Len(t, all, len(keys))
	require.NoError(t, kv.BatchSetRaw(ctx, all))
	got, err := kv.BatchGetRaw(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, all, got)
	listed, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.ElementsMatch(t, keys, listed)
	for _, prefix := range keys {
		listed, err := kv.List(ctx, prefix)
		require.NoError(t, err)
		for _, key := range keys {
			require.Equal(t, strings.HasPrefix(key, prefix), slices.Contains(listed, key), "%q %q", prefix, key)
		}
	}
	for _, key := range keys {
		value, err := kv.GetRaw(ctx, key)
		require.NoError(t, err)
		require.Equal(t, key, string(value))
		require.NoError(t, kv.Delete(ctx, key))
		_, err = kv.GetRaw(ctx, key)
		require.ErrorIs(t, err, resilient.ErrNotFound)
	}
}

func TestS2_WhatIsDangerousInADSNIsSwitchedOff(t *testing.T) {
	c, err := parse("user:password@tcp(host)/db?interpolateParams=true&multiStatements=true&allowAllFiles=true&rejectReadOnly=true"+
		"&clientFoundRows=true&checkConnLiveness=false&maxAllowedPacket=1024", Config{}.withDefaults())
	require.NoError(t, err)
	require.False(t, c.InterpolateParams || c.MultiStatements || c.AllowAllFiles || c.RejectReadOnly || c.ClientFoundRows)
	require.True(t, c.CheckConnLiveness)
	require.Equal(t, silence, c.ReadTimeout)
	require.Equal(t, silence, c.WriteTimeout)
	require.Greater(t, c.MaxAllowedPacket, defaultMaxValue)
	require.Equal(t, &mysql.NopLogger{}, c.Logger)
	conns, err := newConnector(c, Config{})
	require.NoError(t, err)
	require.Equal(t, defaultDialTimeout, conns.within)

	c, err = parse("user:password@tcp(host)/db?timeout=7s&readTimeout=8s&writeTimeout=9s", Config{}.withDefaults())
	require.NoError(t, err)
	require.Equal(t, "8s 9s", fmt.Sprint(c.ReadTimeout, c.WriteTimeout))
	conns, err = newConnector(c, Config{})
	require.NoError(t, err)
	require.Equal(t, "7s", fmt.Sprint(conns.within))
}

func TestASessionsSettingsWinOverTheDSN(t *testing.T) {
	server := servertest.MySQL(t, "--autocommit=0", "--sql-mode=")
	kv, err := Open(servertest.MySQLDSN(server)+"?autocommit=0&sql_mode=''&multiStatements=true", Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	warm(t, kv)
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("kept")))
	server.Kill()
	server.Start()
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "kept", string(value))

	// A borrowed pool has the settings of its owner, and they are looked at.
	for option, want := range map[string]error{
		"?autocommit=0&sql_mode='STRICT_ALL_TABLES'": errAutocommit,
		"?autocommit=1&sql_mode=''":                  errSQLMode,
		"?autocommit=1&sql_mode='STRICT_ALL_TABLES'": nil,
	} {
		db := pool(t, servertest.MySQLDSN(server)+option)
		kv, err := New(db, Config{})
		require.NoError(t, err)
		err = kv.SetRaw(t.Context(), "key", nil)
		require.ErrorIs(t, err, want)
		require.Equal(t, want != nil, errors.Is(err, resilient.ErrRefused))
		require.NoError(t, kv.Close())
	}
}

func TestRegression_SettingsOfTheDSNChangedWhatWasStoredAndCutOffWhatWasRead(t *testing.T) {
	server := servertest.MySQL(t)
	const odd = "?sql_select_limit=1&character_set_connection="
	for _, charset := range []string{"latin1", "utf8mb3"} {
		kv, err := Open(servertest.MySQLDSN(server)+odd+charset, Config{PoolSize: 1})
		require.NoError(t, err)
		batch := manyWith("\u00e9")
		value := []byte("\xff\x80\u00e9\U0001f511\x00")
		batch["\u00e9"] = value
		require.NoError(t, kv.BatchSetRaw(t.Context(), batch)) // in two statements
		require.NoError(t, kv.SetRaw(t.Context(), "single \U0001f511", value))

		// Another connection sees what was acknowledged on this one.
		plain, err := Open(servertest.MySQLDSN(server), Config{})
		require.NoError(t, err)
		for _, reader := range []*KV{kv, plain} {
			got, err := reader.BatchGetRaw(t.Context(), slices.Collect(maps.Keys(batch)))
			require.NoError(t, err)
			require.Len(t, got, len(batch))
			require.Equal(t, value, got["\u00e9"])
			single, err := reader.GetRaw(t.Context(), "single \U0001f511")
			require.NoError(t, err)
			require.Equal(t, value, single)
			keys, err := reader.List(t.Context(), "\xc3")
			require.NoError(t, err)
			require.Equal(t, []string{"\u00e9"}, keys)
		}
		require.NoError(t, plain.Close())
		require.NoError(t, kv.Close())
	}
}

func TestRegression_ABorrowedDatabaseThatChangesOrCutsOffWasUsed(t *testing.T) {
	server := servertest.MySQL(t)
	for option, want := range map[string]error{
		"?character_set_connection=latin1": errCharset,
		"?character_set_client=latin1":     errCharset,
		"?sql_select_limit=499":            errSelectLimit,
		"?sql_select_limit=500":            nil,
		"?charset=latin1":                  nil,
		"?charset=binary":                  nil,
	} {
		kv, err := New(pool(t, servertest.MySQLDSN(server)+option), Config{})
		require.NoError(t, err)
		err = kv.SetRaw(t.Context(), "key", nil)
		require.ErrorIs(t, err, want, option)
		require.Equal(t, want != nil, errors.Is(err, resilient.ErrRefused), option)
		if want != nil {
			require.ErrorContains(t, err, want.Error(), option)
		}
		require.NoError(t, kv.Close())
	}
}

func TestRegression_AValueWasReadThatWasNeverCommitted(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{Namespace: defaultNamespace})
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("committed")))
	other, err := admin(t, server).BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Rollback()) }()
	_, err = other.ExecContext(t.Context(), "UPDATE holdfast SET v = 'never'")
	require.NoError(t, err)
	for level, want := range map[string]error{
		"READ-UNCOMMITTED": errDirty, "READ-COMMITTED": nil, "REPEATABLE-READ": nil, "SERIALIZABLE": nil,
	} {
		dsn := servertest.MySQLDSN(server) + "?tx_isolation='" + level + "'"
		opened, err := Open(dsn, Config{})
		require.NoError(t, err)
		borrowed, err := New(pool(t, dsn), Config{})
		require.NoError(t, err)
		for _, kv := range []*KV{opened, borrowed} {
			value, err := kv.GetRaw(t.Context(), "key")
			require.ErrorIs(t, err, want, "%s: %q", level, value)
			if want != nil {
				require.ErrorContains(t, err, want.Error())
				require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused)
			} else {
				require.Equal(t, "committed", string(value), level)
			}
			require.NoError(t, kv.Close())
		}
	}
}

// With completion_type=CHAIN a COMMIT begins the next transaction.
func TestRegression_AWriteAfterABatchStayedInATransactionThatNobodyEnds(t *testing.T) {
	server := servertest.MySQL(t, "--completion-type=CHAIN")
	opened, err := Open(servertest.MySQLDSN(server), Config{PoolSize: 1})
	require.NoError(t, err)
	db := pool(t, servertest.MySQLDSN(server))
	db.SetMaxOpenConns(1)
	borrowed, err := New(db, Config{})
	require.NoError(t, err)
	for name, kv := range map[string]*KV{"opened": opened, "borrowed": borrowed} {
		require.NoError(t, kv.BatchSetRaw(t.Context(), manyWith("last")))
		require.NoError(t, kv.SetRaw(t.Context(), name, nil))
		other := open(t, server, Config{Namespace: defaultNamespace})
		_, err = other.GetRaw(t.Context(), name)
		require.NoError(t, err, name)
		require.NoError(t, kv.Close())
	}
}

func TestS13_RequireTLSRefusesWhatCouldBePlaintext(t *testing.T) {
	for name, c := range map[string]*tls.Config{"trusting": {InsecureSkipVerify: true}, "verifying": {MinVersion: tls.VersionTLS12}} {
		require.NoError(t, mysql.RegisterTLSConfig(name, c))
		defer mysql.DeregisterTLSConfig(name)
	}
	for option, allowed := range map[string]bool{
		"": false, "?tls=false": false, "?tls=preferred": false, "?tls=skip-verify": false, "?tls=trusting": false,
		"?tls=true&allowFallbackToPlaintext=true": false, "?tls=true": true, "?tls=verifying": true,
	} {
		kv, err := Open("user:password@tcp(host)/db"+option, Config{RequireTLS: true})
		if allowed {
			require.NoError(t, err, option)
			require.NoError(t, kv.Close())
		} else {
			require.ErrorContains(t, err, "RequireTLS", option)
		}
	}
	_, err := New(pool(t, "user:password@tcp(host)/db?tls=true"), Config{RequireTLS: true})
	require.ErrorContains(t, err, "RequireTLS")
}
