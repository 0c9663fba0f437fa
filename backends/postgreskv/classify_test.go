package postgreskv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// blocked starts call, which waits for the lock that other takes on the table,
// and returns where its error will be.
func blocked(t *testing.T, other *pgx.Conn, call func() error) <-chan error {
	t.Helper()
	run(t, other, "BEGIN; LOCK TABLE holdfast IN SHARE MODE")
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	waits(t, other)
	return ended
}

// waits returns once somebody waits for a lock.
func waits(t *testing.T, c *pgx.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, c.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n))
		return n > 0
	}, patience, time.Millisecond)
}

func requireClass(t *testing.T, kv *KV, want resilient.Class, code string, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, kv.Classify(err), err)
	require.ErrorContains(t, err, code)
	var server *pgconn.PgError
	require.ErrorAs(t, err, &server, "the driver's error is reachable")
	require.Equal(t, want == resilient.Refused, errors.Is(err, resilient.ErrRefused), err)
	require.Equal(t, want == resilient.Failed, errors.Is(err, resilient.ErrAmbiguous), err)
}

func TestADeadlockIsAConflictAndABatchIsTriedAgain(t *testing.T) {
	ctx := t.Context()
	s, kv := onServer(t, Config{LockTimeout: -1}, "deadlock_timeout=100ms")
	require.NoError(t, kv.BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": nil}))
	other := session(t, s)
	run(t, other, "SET deadlock_timeout = '1min'") // so that the store is the one to be rolled back
	cross := func(call func() error) error {
		run(t, other, "BEGIN; UPDATE holdfast SET value = 'other' WHERE key = 'b'")
		ended := make(chan error, 1)
		go func() { ended <- call() }()
		waits(t, other)
		run(t, other, "UPDATE holdfast SET value = 'other' WHERE key = 'a'")
		run(t, other, "COMMIT")
		return <-ended
	}
	err := cross(func() error {
		return kv.do(ctx, true, func(c *pgx.Conn) error {
			_, err := c.Exec(ctx, kv.sql.setMany, [][]byte{[]byte("a"), []byte("b")}, [][]byte{{1}, {1}})
			return err
		})
	})
	requireClass(t, kv, resilient.Conflict, "40P01", err)
	require.NoError(t, cross(func() error { return kv.BatchSetRaw(ctx, map[string][]byte{"a": {2}, "b": {2}}) }))
	value, err := kv.GetRaw(ctx, "b")
	require.NoError(t, err)
	require.Equal(t, []byte{2}, value)
}

func TestASerializationFailureIsAConflict(t *testing.T) {
	ctx := t.Context()
	s, kv := onServer(t, Config{})
	mustWork(t, kv)
	kv = open(t, servertest.PostgresURL(s)+"&default_transaction_isolation=repeatable%20read", Config{})
	other := session(t, s)
	run(t, other, "BEGIN; UPDATE holdfast SET value = 'other' WHERE key = 'key'")
	ended := make(chan error, 1)
	go func() { ended <- kv.SetRaw(ctx, "key", nil) }()
	waits(t, other)
	run(t, other, "COMMIT")
	requireClass(t, kv, resilient.Conflict, "40001", <-ended)
}

func TestAStatementTimeoutIsRefused(t *testing.T) {
	s, kv := onServer(t, Config{StatementTimeout: 200 * time.Millisecond, LockTimeout: -1})
	mustWork(t, kv)
	err := <-blocked(t, session(t, s), func() error { return kv.SetRaw(t.Context(), "key", nil) })
	requireClass(t, kv, resilient.Refused, "57014", err)
}

func TestASessionThatAnOperatorEndsIsAmbiguous(t *testing.T) {
	s, kv := onServer(t, Config{LockTimeout: -1})
	mustWork(t, kv)
	other := session(t, s)
	ended := blocked(t, other, func() error { return kv.SetRaw(t.Context(), "key", nil) })
	run(t, other, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
	requireClass(t, kv, resilient.Failed, "57P01", <-ended)
}

func TestAServerThatIsKilledDuringAWriteIsAmbiguous(t *testing.T) {
	s, kv := onServer(t, Config{LockTimeout: -1})
	mustWork(t, kv)
	ended := blocked(t, session(t, s), func() error { return kv.SetRaw(t.Context(), "key", nil) })
	s.Kill()
	err := <-ended
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Failed, kv.Classify(err))
}

func TestWhatTheServerSaysAtLoginIsRefused(t *testing.T) {
	s := servertest.Postgres(t, "max_connections=20", "superuser_reserved_connections=1")
	guest := as(t, s, "guest")
	for code, url := range map[string]string{
		"28P01": strings.Replace(guest, ":secret@", ":wrong@", 1),
		"3D000": strings.Replace(guest, "/postgres?", "/nowhere?", 1),
		"22023": guest + "&role=nobody",
	} {
		kv := open(t, url, Config{})
		for _, o := range operations(kv) {
			err := o.call(t.Context())
			requireClass(t, kv, resilient.Refused, code, err)
		}
	}
	crowd := open(t, guest, Config{PoolSize: 18})
	warm(t, crowd, 18) // with the session that made the user that is all but the one for superusers
	kv := open(t, guest, Config{})
	requireClass(t, kv, resilient.Refused, "53300", kv.SetRaw(t.Context(), "key", nil))
}

// shutDown asks the server to end when the last session has: "smart".
func shutDown(tb testing.TB, s *servertest.Server) {
	tb.Helper()
	lines, err := os.ReadFile(filepath.Join(s.Dir(), "data", "postmaster.pid"))
	require.NoError(tb, err)
	pid, err := strconv.Atoi(strings.Fields(string(lines))[0])
	require.NoError(tb, err)
	require.NoError(tb, syscall.Kill(pid, syscall.SIGTERM))
}

func TestAServerThatIsShuttingDownIsRefused(t *testing.T) {
	s, kv := onServer(t, Config{})
	session(t, s) // it waits for this one
	shutDown(t, s)
	require.Eventually(t, func() bool {
		err := kv.Health(t.Context())
		kv.pool.Reset() // sessions that stand go on
		return hasState(err, "57P03") && kv.Classify(err) == resilient.Refused
	}, patience, 10*time.Millisecond)
}

func TestAValueThatTheTableRefusesIsInvalid(t *testing.T) {
	s, kv := onServer(t, Config{})
	mustWork(t, kv)
	run(t, session(t, s), "ALTER TABLE holdfast ADD CHECK (octet_length(value) < 10)")
	requireClass(t, kv, resilient.Invalid, "23514", kv.SetRaw(t.Context(), "key", make([]byte, 10)))
	requireClass(t, kv, resilient.Invalid, "23514", kv.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": make([]byte, 10)}))
	_, err := kv.GetRaw(t.Context(), "a")
	require.ErrorIs(t, err, resilient.ErrNotFound, "the batch was rolled back")
	mustWork(t, kv)
}

// TestStatesThatAreNotProvoked_ByTheirValue covers what a healthy machine does
// not do.
func TestStatesThatAreNotProvoked_ByTheirValue(t *testing.T) {
	kv := open(t, "postgres://localhost:1/db?sslmode=disable", Config{})
	failed := func(code, severity string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Severity: "FEHLER", SeverityUnlocalized: severity})
	}
	for code, want := range map[string]resilient.Class{
		"53100": resilient.Refused, "53200": resilient.Refused, "53400": resilient.Refused,
		"58030": resilient.Refused, "XX001": resilient.Refused, "XX002": resilient.Refused,
		"55P03": resilient.Refused, "25006": resilient.Refused, "42501": resilient.Refused,
		"54000": resilient.Invalid, "22021": resilient.Invalid, "22001": resilient.Invalid, "23505": resilient.Invalid,
		"40003": resilient.Failed, "08006": resilient.Failed, "08007": resilient.Failed,
		"P0001": resilient.Refused, "XX000": resilient.Refused, // any other ERROR has rolled back
	} {
		require.Equal(t, want, kv.Classify(failed(code, "ERROR")), code)
	}
	for code, want := range map[string]resilient.Class{
		"57P05": resilient.Refused, "25P03": resilient.Refused, "57P03": resilient.Refused,
		"57P01": resilient.Failed, "57P02": resilient.Failed, "XX000": resilient.Failed, "08P01": resilient.Failed,
	} {
		require.Equal(t, want, kv.Classify(failed(code, "FATAL")), code)
	}
	require.Equal(t, resilient.Refused, kv.Classify(&pgconn.PgError{Code: "99999", Severity: "ERROR"}), "of a pooler that leaves a field out")
	for err, want := range map[error]resilient.Class{
		nil:                      resilient.OK,
		pgx.ErrTxCommitRollback:  resilient.Refused,
		pgconn.ErrConnClosed:     resilient.Refused,
		resilient.ErrAmbiguous:   resilient.Failed,
		resilient.ErrRefused:     resilient.Refused,
		io.ErrUnexpectedEOF:      resilient.OK, // don't know
		syscall.ECONNRESET:       resilient.OK,
		context.DeadlineExceeded: resilient.OK,
		net.ErrClosed:            resilient.OK,
	} {
		require.Equal(t, want, kv.Classify(err), err)
	}
}

// What PostgreSQL says when its log cannot be written (XLogWrite and
// issue_xlog_fsync in xlog.c) has the state of the file's fault.
func TestRegression_AWriteThatAServersPanicEndedWasRefused(t *testing.T) {
	kv := &KV{}
	for _, code := range []string{"53100", "58030", "42501", "53200", "XX000", "XX001"} {
		for _, e := range []*pgconn.PgError{
			{Code: code, Severity: "PANIK", SeverityUnlocalized: "PANIC"},
			{Code: code, Severity: "PANIC"},
		} {
			require.Equal(t, resilient.Failed, kv.Classify(e), code)
			err := explain(t.Context(), classOf(e), true, e)
			require.ErrorIs(t, err, resilient.ErrAmbiguous, code)
			require.NotErrorIs(t, err, resilient.ErrRefused, code)
		}
	}
}
