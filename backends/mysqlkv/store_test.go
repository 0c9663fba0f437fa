package mysqlkv

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// pool opens a pool of the test's own.
func pool(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	return db
}

func TestTwelveStoresAtOnceMakeOneTable(t *testing.T) {
	server := servertest.MySQL(t)
	var all sync.WaitGroup
	for i := range 12 {
		kv := open(t, server, Config{Namespace: "shared"})
		all.Go(func() {
			if err := kv.SetRaw(t.Context(), fmt.Sprintf("key %02d", i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	keys, err := open(t, server, Config{Namespace: "shared"}).List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, keys, 12)
}

func TestManyFirstCallsOfOneStoreAllSucceed(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{Canary: true, Namespace: "holdfast.in_a_database"})
	var all sync.WaitGroup
	for range 8 {
		for _, o := range operations(kv) {
			if o.name == "Get" {
				continue // a miss, until the write
			}
			all.Go(func() {
				if err := o.call(t.Context()); err != nil {
					t.Error(o.name, err)
				}
			})
		}
	}
	all.Wait()
}

func TestABorrowedPoolStaysOpenAndKeepsNoStatements(t *testing.T) {
	server := servertest.MySQL(t)
	db := pool(t, servertest.MySQLDSN(server))
	kv, err := New(db, Config{})
	require.NoError(t, err)
	warm(t, kv)
	require.NoError(t, kv.Close())
	require.Equal(t, resilient.ErrClosed, kv.Health(t.Context()))
	require.NoError(t, db.PingContext(t.Context()))
	var name, count string
	require.NoError(t, admin(t, server).QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &count))
	require.Equal(t, "0", count)
}

func TestABorrowedPoolThatItsOwnerClosesIsUnavailable(t *testing.T) {
	server := servertest.MySQL(t)
	db := pool(t, servertest.MySQLDSN(server))
	kv, err := New(db, Config{})
	require.NoError(t, err)
	warm(t, kv)
	require.NoError(t, db.Close())
	for _, o := range operations(kv) {
		require.ErrorIs(t, o.call(t.Context()), resilient.ErrUnavailable, o.name)
	}
	require.NoError(t, kv.Close())
}

func TestASingleKeyCostsOneRoundTrip(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{PoolSize: 1})
	warm(t, kv)
	db := admin(t, server)
	// Questions counts the statements that clients send, preparing and closing
	// them too.
	questions := func() (n int) {
		var name string
		require.NoError(t, db.QueryRow("SHOW GLOBAL STATUS LIKE 'Questions'").Scan(&name, &n))
		return n
	}
	var prepares int
	prepared := func() int {
		var name string
		require.NoError(t, db.QueryRow("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'").Scan(&name, &prepares))
		return prepares
	}
	wasPrepared, began := prepared(), questions()
	for range 100 {
		require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
		_, err := kv.GetRaw(t.Context(), "key")
		require.NoError(t, err)
		require.NoError(t, kv.Delete(t.Context(), "none"))
	}
	require.Less(t, questions()-began, 310)
	require.Equal(t, wasPrepared, prepared())
}

func TestListGoesOnAfterEachPage(t *testing.T) {
	kv := open(t, servertest.MySQL(t), Config{Canary: true})
	ctx := t.Context()
	require.NoError(t, kv.Health(ctx)) // leaves a row that no list shows
	long := strings.Repeat("x", maxKey-1)
	all := map[string][]byte{long + "a": nil, long + "b": nil, long: nil, "y": nil, " ": nil, "\U0010ffff": nil}
	for i := range 20 {
		all[fmt.Sprint("x", i)] = nil
	}
	require.NoError(t, kv.BatchSetRaw(ctx, all))
	for page := 1; page <= 4; page++ {
		kv.page = page
		for _, prefix := range []string{"", "x", "x1", long, long + "a", "y", "none", " ", "\U0010ffff", "\xf4", "\xff", "\x00", strings.Repeat("x", 600)} {
			want := []string{}
			for key := range all {
				if strings.HasPrefix(key, prefix) {
					want = append(want, key)
				}
			}
			slices.Sort(want)
			got, err := kv.List(ctx, prefix)
			require.NoError(t, err)
			require.Equal(t, want, got, "prefix %.20q, pages of %d", prefix, page)
		}
	}
}

func TestAValueTooLargeForTheServerIsRefusedBeforeItIsSent(t *testing.T) {
	server := servertest.MySQL(t, "--max-allowed-packet=1M")
	kv := open(t, server, Config{})
	ctx := t.Context()
	fits := bytes.Repeat([]byte("v"), 1<<20-packetRoom)
	require.NoError(t, kv.SetRaw(ctx, "key", fits))
	over := append(fits, 'v')
	for _, err := range []error{kv.SetRaw(ctx, "key", over), kv.BatchSetRaw(ctx, map[string][]byte{"key": over, "other": nil})} {
		require.ErrorIs(t, err, resilient.ErrValueTooLarge)
		require.NotErrorIs(t, err, resilient.ErrUnavailable)
	}
	many := map[string][]byte{"small": []byte("v")}
	for i := range 10 {
		many[fmt.Sprint("large ", i)] = fits
	}
	require.NoError(t, kv.BatchSetRaw(ctx, many))
	got, err := kv.BatchGetRaw(ctx, []string{"key", "small", "large 9", "other"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"key": fits, "small": []byte("v"), "large 9": fits}, got)

	tiny := open(t, servertest.MySQL(t, "--max-allowed-packet=512K"), Config{})
	require.ErrorIs(t, tiny.SetRaw(ctx, "key", nil), errPacket)
	require.ErrorIs(t, tiny.Health(ctx), resilient.ErrRefused)
}

func TestACanaryWritesARowThatNobodySees(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{Canary: true})
	ctx := t.Context()
	db := admin(t, server)
	var last []byte
	for range 3 {
		require.NoError(t, kv.Health(ctx))
		var value []byte
		require.NoError(t, db.QueryRow("SELECT v FROM "+kv.cfg.Namespace+" WHERE k = ?", canaryKey).Scan(&value))
		require.NotEqual(t, last, value, "a row that does not change is not written")
		last = value
	}
	for _, prefix := range []string{"", "\x00", " "} {
		keys, err := kv.List(ctx, prefix)
		require.NoError(t, err)
		require.Empty(t, keys)
	}
}

func TestASessionGivesUpLocksAfterTheTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]string{
		math.MaxInt64:    "innodb_lock_wait_timeout = 31536000, lock_wait_timeout = 31536000",
		time.Millisecond: "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1", 1500 * time.Millisecond: "lock_wait_timeout = 2",
	} {
		require.Contains(t, session(Config{Timeout: timeout}), want)
	}
	require.NotContains(t, session(Config{Timeout: -1}), "timeout")
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	s := servertest.MySQL(t)
	kv := open(t, s, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	run(t, admin(t, s), "INSERT INTO "+kv.cfg.Namespace+" VALUES ('line\nfeed', ''), (x'ff', '')")
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	for prefix, want := range map[string][]string{"k": {"key"}, "line": {}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys)
	}
}

func TestRegression_ATableWithoutAKeyOfWholeKeysMixedThemUp(t *testing.T) {
	server := servertest.MySQL(t)
	db := admin(t, server)
	const columns = " (k VARBINARY(512) NOT NULL, v BLOB NOT NULL"
	for name, rest := range map[string]string{
		"none":     ")",
		"ordinary": ", KEY (k))",
		"part":     ", UNIQUE (k(4)))",
		"more":     ", PRIMARY KEY (k, v(4)))",
		"another":  ", PRIMARY KEY (k), UNIQUE (v(4)))",
	} {
		run(t, db, "CREATE TABLE "+name+columns+rest+" ENGINE=InnoDB")
		kv := open(t, server, Config{Namespace: name})
		for _, o := range operations(kv) {
			err := o.call(t.Context())
			require.ErrorIs(t, err, errKey, name)
			require.ErrorIs(t, err, resilient.ErrRefused, name)
			require.ErrorContains(t, err, errKey.Error(), name)
		}
	}
	for name, rest := range map[string]string{
		"usual":   ", PRIMARY KEY (K))",
		"unusual": ", UNIQUE (k), KEY (k(4)), KEY (v(4)))",
	} {
		run(t, db, "CREATE TABLE "+name+columns+rest+" ENGINE=InnoDB")
		warm(t, open(t, server, Config{Namespace: name}))
	}
}

func TestRegression_ATimeoutOfYearsKeptEveryConnectionOut(t *testing.T) {
	s := servertest.MySQL(t)
	_, err := admin(t, s).ExecContext(t.Context(), "SET GLOBAL sql_mode = 'STRICT_ALL_TABLES'") // out of range is an error then
	require.NoError(t, err)
	kv := open(t, s, Config{Timeout: math.MaxInt64})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	require.NoError(t, kv.Health(t.Context()))
}
