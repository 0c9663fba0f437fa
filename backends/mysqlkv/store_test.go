package mysqlkv

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
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

func TestBatchesThatOverlapSucceedAll(t *testing.T) {
	server := servertest.MySQL(t)
	kv, other := open(t, server, Config{Namespace: "shared"}), open(t, server, Config{Namespace: "shared"})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20 {
				many, keys := map[string][]byte{}, []string{}
				for n := range batchRows + 50 { // more than one statement
					key := fmt.Sprintf("key %04d", (g*13+i*7+n*3)%700)
					many[key], keys = fmt.Append(nil, g, i), append(keys, key)
				}
				store := []*KV{kv, other}[g%2]
				if err := store.BatchSetRaw(t.Context(), many); err != nil {
					t.Error(err)
				}
				if g%4 == 0 {
					if err := store.BatchDelete(t.Context(), keys); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestABatchThatADeadlockRollsBackIsTriedAgain(t *testing.T) {
	server := servertest.MySQL(t)
	db := admin(t, server)
	kv := open(t, server, Config{})
	ctx := t.Context()
	require.NoError(t, kv.SetRaw(ctx, "zz", []byte("old")))
	run(t, db, "CREATE TABLE weight (n INT)")
	tx, err := db.Begin()
	require.NoError(t, err)
	// The server rolls back whoever has changed less.
	_, err = tx.Exec("INSERT INTO weight SELECT seq FROM seq_1_to_5000")
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE " + kv.cfg.Namespace + " SET v = 'other' WHERE k = 'zz'")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- kv.BatchSetRaw(ctx, manyWith("zz")) }()
	require.Eventually(t, func() bool { // the first statement is done, the second waits
		var n int
		return db.QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'").Scan(&n) == nil && n == 1
	}, patience, 200*time.Millisecond)
	_, err = tx.Exec("UPDATE " + kv.cfg.Namespace + " SET v = 'other' WHERE k = 'bulk 0000'")
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	require.NoError(t, <-done)
	var name, deadlocks string
	require.NoError(t, db.QueryRow("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").Scan(&name, &deadlocks))
	require.Equal(t, "1", deadlocks)
	got, err := kv.BatchGetRaw(ctx, []string{"zz", "bulk 0000"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"zz": {}, "bulk 0000": {}}, got)
}

func TestABatchThatFailsLeavesNothingAndNoTransactionOpen(t *testing.T) {
	server := servertest.MySQL(t)
	db := admin(t, server)
	kv := open(t, server, Config{PoolSize: 1})
	ctx := t.Context()
	require.NoError(t, kv.SetRaw(ctx, "zz", []byte("old")))
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec("UPDATE " + kv.cfg.Namespace + " SET v = 'other' WHERE k = 'zz'")
	require.NoError(t, err)
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	err = kv.BatchSetRaw(short, manyWith("zz")) // the first statement is done, the last one waits
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, tx.Rollback())
	require.Eventually(t, func() bool {
		var n int
		return db.QueryRow("SELECT COUNT(*) FROM information_schema.innodb_trx").Scan(&n) == nil && n == 0
	}, patience, 200*time.Millisecond) // InnoDB answers from memory what is asked again within 100 ms
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"zz"}, keys)
	require.NoError(t, kv.BatchSetRaw(ctx, manyWith("zz")))
	require.NoError(t, kv.SetRaw(ctx, "after", nil))
	server.Kill() // what follows a transaction that was left open is not kept
	server.Start()
	_, err = kv.GetRaw(ctx, "after")
	require.NoError(t, err)
}

func TestACommitIsLeftAtAFrozenServer(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{})
	warm(t, kv)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := kv.batch(ctx, true, func(ctx context.Context, b *batch) error {
		return b.commit(ctx, 2, func() error {
			err := b.exec(ctx, b.sql.setMany, 1, []any{"frozen", []byte("value")})
			freeze(t, server)
			return err
		})
	})
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	deadline, _ := ctx.Deadline()
	require.Less(t, time.Since(deadline), late)
	server.Wake()
	value, err := kv.GetRaw(t.Context(), "frozen")
	require.NoError(t, err, "the COMMIT was in the server's socket")
	require.Equal(t, "value", string(value))
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
		time.Millisecond: "innodb_lock_wait_timeout = 1, lock_wait_timeout = 1", 1500 * time.Millisecond: "lock_wait_timeout = 2",
	} {
		require.Contains(t, session(Config{Timeout: timeout}), want)
	}
	require.NotContains(t, session(Config{Timeout: -1}), "timeout")
}
