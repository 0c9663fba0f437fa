package mysqlkv

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

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
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var frozen time.Time
	err := kv.batch(ctx, true, func(ctx context.Context, b *batch) error {
		return b.commit(ctx, 2, func() error {
			err := b.exec(ctx, b.sql.setMany, 1, []any{"frozen", []byte("value")})
			freeze(t, server)
			frozen = time.Now()
			time.AfterFunc(time.Second, cancel) // the COMMIT is sent at once
			return err
		})
	})
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(frozen), time.Second+late)
	server.Wake()
	require.Eventually(t, func() bool {
		value, err := kv.GetRaw(t.Context(), "frozen")
		return err == nil && string(value) == "value"
	}, patience, time.Millisecond, "the COMMIT was in the server's socket")
}

func TestRegression_ABatchThatWasRefusedHadBeenAppliedInPart(t *testing.T) {
	server := servertest.MySQL(t)
	run(t, admin(t, server), "CREATE TABLE holdfast (k VARBINARY(512) NOT NULL PRIMARY KEY, v BLOB NOT NULL) ENGINE=MyISAM")
	kv := open(t, server, Config{Namespace: defaultNamespace})
	batch := manyWith("too large for the column")
	batch["too large for the column"] = make([]byte, 1<<16)
	require.Error(t, kv.BatchSetRaw(t.Context(), batch))
	var rows int
	require.NoError(t, kv.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM holdfast").Scan(&rows))
	require.Zero(t, rows, "all of it or nothing")
}
