package mysqlkv

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// requireRefused demands that err is the server's error of that number, that
// nothing was applied, and that Classify agrees.
func requireRefused(tb testing.TB, kv *KV, number uint16, err error) {
	tb.Helper()
	require.ErrorIs(tb, err, resilient.ErrRefused)
	require.NotErrorIs(tb, err, resilient.ErrAmbiguous)
	require.Equal(tb, resilient.Refused, kv.Classify(err))
	var server *mysql.MySQLError
	require.ErrorAs(tb, err, &server)
	require.Equal(tb, number, server.Number)
	require.NotContains(tb, err.Error(), server.Message)
	require.Contains(tb, err.Error(), fmt.Sprint("error ", number))
}

// as opens a store of a new user who has the given rights.
func as(tb testing.TB, server *servertest.Server, db *sql.DB, name string, cfg Config, grants ...string) *KV {
	tb.Helper()
	run(tb, db, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", name, servertest.MySQLPassword))
	for _, grant := range grants {
		run(tb, db, fmt.Sprintf("GRANT %s TO '%s'@'%%'", grant, name))
	}
	kv, err := Open(fmt.Sprintf("%s:%s@tcp(%s)/holdfast", name, servertest.MySQLPassword, server.Addr()), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

func TestWhatTheServerRefusesIsRefusedAndHealthKnows(t *testing.T) {
	server := servertest.MySQL(t)
	db := admin(t, server)
	cfg := Config{Namespace: "shared"}
	ours := open(t, server, cfg)
	warm(t, ours)
	ctx := t.Context()
	set := func(kv *KV) error { return kv.SetRaw(ctx, "key", []byte("value")) }

	t.Run("read-only, for whom it is", func(t *testing.T) {
		privileged := as(t, server, db, "replicator", cfg, "ALL ON *.*")
		warm(t, privileged)
		run(t, db, "SET GLOBAL read_only = 1")
		requireRefused(t, ours, 1290, set(ours))
		requireRefused(t, ours, 1290, ours.BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": nil}))
		requireRefused(t, ours, 1290, ours.Health(ctx))
		_, err := ours.GetRaw(ctx, "key")
		require.NoError(t, err)
		warm(t, privileged)
		run(t, db, "SET GLOBAL read_only = 0")
		warm(t, ours)
	})
	t.Run("a right is missing", func(t *testing.T) {
		for _, missing := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			rights := strings.Trim(strings.ReplaceAll(strings.ReplaceAll("SELECT,INSERT,UPDATE,DELETE", missing, ""), ",,", ","), ",")
			kv := as(t, server, db, "no_"+missing, cfg, rights+" ON holdfast.shared")
			requireRefused(t, kv, 1142, kv.Health(ctx))
			if missing == "INSERT" || missing == "UPDATE" {
				requireRefused(t, kv, 1142, set(kv))
			}
		}
	})
	t.Run("a right is taken away", func(t *testing.T) {
		kv := as(t, server, db, "fallen", cfg, "ALL ON holdfast.shared")
		warm(t, kv)
		run(t, db, "REVOKE INSERT ON holdfast.shared FROM fallen")
		requireRefused(t, kv, 1142, set(kv))
		requireRefused(t, kv, 1142, kv.Health(ctx))
	})
	t.Run("wrong password", func(t *testing.T) {
		kv, err := Open(fmt.Sprintf("holdfast:wrong-canary@tcp(%s)/holdfast", server.Addr()), cfg)
		require.NoError(t, err)
		requireRefused(t, kv, 1045, set(kv))
		require.NotContains(t, set(kv).Error(), "canary")
		require.NoError(t, kv.Close())
	})
	t.Run("no right to the database", func(t *testing.T) {
		kv := as(t, server, db, "stranger", cfg)
		requireRefused(t, kv, 1044, set(kv))
	})
	t.Run("unknown database", func(t *testing.T) {
		kv, err := Open(strings.Replace(servertest.MySQLAdminDSN(server), "/holdfast", "/nowhere", 1), cfg)
		require.NoError(t, err)
		requireRefused(t, kv, 1049, set(kv))
		require.NoError(t, kv.Close())
	})
	t.Run("the user's connections", func(t *testing.T) {
		kv := as(t, server, db, "limited", cfg, "ALL ON holdfast.*")
		run(t, db, "ALTER USER limited WITH MAX_QUERIES_PER_HOUR 1")
		require.Error(t, set(kv))
		requireRefused(t, kv, 1226, set(kv))
	})
	t.Run("too many connections", func(t *testing.T) {
		run(t, db, "SET GLOBAL max_connections = 10")
		var held []*sql.Conn
		for range 20 {
			c, err := db.Conn(ctx)
			if err != nil {
				break
			}
			held = append(held, c)
		}
		kv := open(t, server, cfg)
		requireRefused(t, kv, 1040, set(kv))
		run(t, held[0], "SET GLOBAL max_connections = 151")
		require.NoError(t, set(kv))
		for _, c := range held {
			require.NoError(t, c.Close())
		}
	})
	t.Run("a row is locked", func(t *testing.T) {
		kv := open(t, server, Config{Namespace: cfg.Namespace, Timeout: time.Second}) // the server's lock wait, too
		tx, err := db.Begin()
		require.NoError(t, err)
		_, err = tx.Exec("UPDATE shared SET v = 'other' WHERE k = 'key'")
		require.NoError(t, err)
		long, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		requireRefused(t, kv, 1205, kv.SetRaw(long, "key", nil))
		requireRefused(t, kv, 1205, kv.BatchSetRaw(long, manyWith("key")))
		require.NoError(t, kv.Health(ctx), "one row is not the table")
		require.NoError(t, tx.Rollback())
		keys, err := kv.List(ctx, "bulk")
		require.NoError(t, err)
		require.Empty(t, keys, "1205 undoes a statement only: the rest of the batch must be rolled back")
		require.NoError(t, kv.SetRaw(ctx, "key", []byte("value")))
	})
	t.Run("the table is locked", func(t *testing.T) {
		kv := open(t, server, Config{Namespace: cfg.Namespace, Timeout: time.Second})
		warm(t, kv)
		for _, lock := range []string{"LOCK TABLES shared WRITE", "LOCK TABLES shared READ", "FLUSH TABLES WITH READ LOCK"} {
			conn, err := db.Conn(ctx)
			require.NoError(t, err)
			_, err = conn.ExecContext(ctx, lock)
			require.NoError(t, err)
			long, cancel := context.WithTimeout(ctx, patience)
			requireRefused(t, kv, 1205, kv.SetRaw(long, "key", nil))
			requireRefused(t, kv, 1205, kv.Health(long))
			cancel()
			_, err = conn.ExecContext(ctx, "UNLOCK TABLES")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.NoError(t, kv.Health(ctx))
		}
	})
	t.Run("the statement is killed", func(t *testing.T) {
		kv := open(t, server, cfg)
		warm(t, kv)
		requireRefused(t, kv, 1317, killed(t, db, kv, "KILL QUERY"))
	})
	t.Run("the connection is killed", func(t *testing.T) {
		kv := open(t, server, cfg)
		warm(t, kv)
		err := killed(t, db, kv, "KILL CONNECTION")
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		require.Equal(t, resilient.Failed, kv.Classify(err))
		require.NoError(t, set(kv))
	})
	t.Run("the table is gone", func(t *testing.T) {
		kv := open(t, server, Config{})
		warm(t, kv)
		run(t, db, "DROP TABLE "+kv.cfg.Namespace)
		for _, o := range operations(kv) {
			requireRefused(t, kv, 1146, o.call(ctx))
		}
		run(t, db, strings.Replace(kv.sql.create, "IF NOT EXISTS", "", 1))
		warm(t, kv)
	})
	t.Run("a foreign table", func(t *testing.T) {
		run(t, db, "CREATE TABLE folding (k VARCHAR(255) PRIMARY KEY, v LONGBLOB NOT NULL)", "CREATE TABLE other (name TEXT)")
		kv := open(t, server, Config{Namespace: "folding"})
		for _, o := range operations(kv) {
			err := o.call(ctx)
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.ErrorIs(t, err, errColumns, o.name)
		}
		kv = open(t, server, Config{Namespace: "other"})
		requireRefused(t, kv, 1054, set(kv))
	})
	t.Run("a table without transactions", func(t *testing.T) {
		for _, engine := range []string{"MyISAM", "Aria"} {
			run(t, db, "CREATE TABLE "+engine+" (k VARBINARY(512) NOT NULL PRIMARY KEY, v LONGBLOB NOT NULL) ENGINE="+engine)
			kv := open(t, server, Config{Namespace: engine})
			for _, o := range operations(kv) {
				err := o.call(ctx)
				require.ErrorIs(t, err, resilient.ErrRefused, o.name)
				require.ErrorIs(t, err, errEngine, o.name)
			}
		}
		// It is the very table that counts, where names differ in case only.
		run(t, db, "CREATE TABLE myisam (k VARBINARY(512) NOT NULL PRIMARY KEY, v LONGBLOB NOT NULL) ENGINE=InnoDB")
		warm(t, open(t, server, Config{Namespace: "myisam"}))
		warm(t, open(t, server, Config{Namespace: "holdfast.myisam"}))
		require.ErrorIs(t, set(open(t, server, Config{Namespace: "holdfast.MyISAM"})), errEngine)
		// A view tells no engine.
		run(t, db, "CREATE VIEW viewed AS SELECT k, v FROM myisam")
		warm(t, open(t, server, Config{Namespace: "viewed"}))
	})
	t.Run("InnoDB is read-only", func(t *testing.T) {
		writeConfig(t, server, "[mysqld]\ninnodb_read_only=1\n")
		server.Stop()
		server.Start()
		requireRefused(t, ours, 1036, set(ours))
		requireRefused(t, ours, 1036, ours.Health(ctx))
		_, err := ours.GetRaw(ctx, "key")
		require.NoError(t, err)
	})
}

// TestDriverErrorValueHasItsClass is about values, made here: what provokes
// them is not at hand.
func TestDriverErrorValueHasItsClass(t *testing.T) {
	kv := &KV{}
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for err, want := range map[error]resilient.Class{
		nil:                          resilient.OK,
		driver.ErrBadConn:            resilient.Refused,
		sql.ErrConnDone:              resilient.Refused,
		before(connecting, dial):     resilient.Refused,
		before(preparing, io.EOF):    resilient.Refused,
		errNoFree:                    resilient.Refused,
		mysql.ErrPktTooLarge:         resilient.Invalid,
		mysql.ErrInvalidConn:         resilient.Failed,
		mysql.ErrPktSync:             resilient.Failed,
		mysql.ErrPktSyncMul:          resilient.Failed,
		mysql.ErrMalformPkt:          resilient.Failed,
		io.ErrShortWrite:             resilient.Failed,
		resilient.ErrAmbiguous:       resilient.Failed,
		resilient.ErrRefused:         resilient.Refused,
		context.DeadlineExceeded:     resilient.OK, // whose it is decides
		errors.New("something else"): resilient.OK,
	} {
		if err != nil {
			err = fmt.Errorf("wrapped: %w", err)
		}
		require.Equal(t, want, kv.Classify(err), "%v", err)
	}
	for class, numbers := range map[resilient.Class][]uint16{
		resilient.Conflict: {1213, 1020, 1412, 1615, 3101},
		resilient.Refused: {1040, 1203, 1205, 3024, 1969, 1317, 3100, 1290, 1792, 1836, 1874, 1021, 1114, 1036, 1037, 1041,
			1044, 1045, 1046, 1049, 1146, 1142, 1054, 1064, 1047, 1226, 1223, 1461},
		resilient.Invalid: {1153, 1366, 1406},
		resilient.Failed:  {1053, 1180, 1927},
		resilient.OK:      {1105, 9999}, // unknown: DefaultClassify makes it Failed
	} {
		for _, number := range numbers {
			err := &mysql.MySQLError{Number: number, Message: "canary"}
			require.Equal(t, class, kv.Classify(fmt.Errorf("wrapped: %w", err)), number)
			require.NotContains(t, printable(err).Error(), "canary")
		}
	}
	require.Equal(t, resilient.Failed, kv.Classify(errors.Join(resilient.ErrRefused, resilient.ErrAmbiguous)), "as with every other store")
	// A commit in doubt is in doubt whatever its number says.
	require.Equal(t, resilient.Failed, kv.Classify(fmt.Errorf("%w: %w", resilient.ErrAmbiguous, &mysql.MySQLError{Number: 1317})))
	// A deadlock while the statement was prepared.
	require.Equal(t, resilient.Conflict, kv.Classify(before(meeting, &mysql.MySQLError{Number: 1213})))
}
