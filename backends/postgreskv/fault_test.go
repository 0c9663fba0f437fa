package postgreskv

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// late is how long after the end of its ctx a call may return: the contract's
// 500 ms, and time for a machine that does other things.
const late = 1500 * time.Millisecond

// endings are the ways in which a call of a store with Timeout ends although
// nobody answers.
func endings(limit time.Duration) map[string]struct {
	ctx func(context.Context) (context.Context, context.CancelFunc)
	err error
} {
	return map[string]struct {
		ctx func(context.Context) (context.Context, context.CancelFunc)
		err error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, limit)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(limit/2, cancel) // before a Timeout of limit
			return ctx, func() { stop.Stop(); cancel() }
		}, context.Canceled},
		"timeout": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return ctx, func() {}
		}, context.DeadlineExceeded},
	}
}

// endsInTime calls o with each ending and returns the errors by ending.
func endsInTime(t *testing.T, o operation, limit time.Duration) map[string]error {
	t.Helper()
	errs := map[string]error{}
	for name, ending := range endings(limit) {
		ctx, cancel := ending.ctx(t.Context())
		began := time.Now()
		errs[name] = o.call(ctx)
		require.Less(t, time.Since(began), limit+late, "%s, %s", o.name, name)
		cancel()
		require.ErrorIs(t, errs[name], ending.err, "%s, %s", o.name, name)
	}
	return errs
}

func TestAServerThatIsDownAtOpenServesOnceItIsUp(t *testing.T) {
	s := servertest.Postgres(t)
	s.Stop()
	kv := open(t, servertest.PostgresURL(s), Config{})
	for _, o := range operations(kv) {
		require.ErrorIs(t, o.call(t.Context()), resilient.ErrRefused, o.name)
	}
	s.Start()
	mustWork(t, kv)
}

func TestABlackHoleIsLeftAtTheEndOfCtx(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	defer l.Close()
	const limit = 200 * time.Millisecond
	url := "postgres://user:secret@" + l.Addr().String() + "/db?sslmode=disable"
	kv := open(t, url, Config{Timeout: limit, DialTimeout: time.Minute})
	for _, o := range operations(kv) {
		for name, err := range endsInTime(t, o, limit) {
			require.ErrorIs(t, err, resilient.ErrRefused, "%s, %s: nothing was sent", o.name, name)
		}
	}
	kv = open(t, url, Config{DialTimeout: limit})
	began := time.Now()
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	require.Less(t, time.Since(began), limit+late, "DialTimeout ends the attempt")
}

func TestAFrozenServerIsLeftAtTheEndOfCtx(t *testing.T) {
	const limit = 200 * time.Millisecond
	s := servertest.Postgres(t)
	kv := inUse(t, servertest.PostgresURL(s), Config{Timeout: limit, PoolSize: 40})
	works := func() bool { return kv.SetRaw(t.Context(), "key", []byte("value")) == nil } // within limit, which a busy machine may miss
	require.Eventually(t, works, patience, time.Millisecond)
	for _, o := range operations(kv) {
		warm(t, kv, 4) // each call costs one
		s.Freeze()
		for name, err := range endsInTime(t, o, limit) {
			require.ErrorIs(t, err, resilient.ErrUnavailable)
			require.Equal(t, o.writes, errors.Is(err, resilient.ErrAmbiguous), "%s, %s: %v", o.name, name, err)
		}
		s.Wake()
		require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, time.Millisecond)
	}
	require.Eventually(t, works, patience, time.Millisecond)
}

// TestRegression_TheFirstWritesAfterARestartWereInDoubt: the server has closed
// the connections, and the store knew before it sent anything.
func TestRegression_TheFirstWritesAfterARestartWereInDoubt(t *testing.T) {
	s := servertest.Postgres(t)
	opened := inUse(t, servertest.PostgresURL(s), Config{})
	pool, err := pgxpool.New(t.Context(), servertest.PostgresURL(s)+"&pool_max_conns=8")
	require.NoError(t, err)
	defer pool.Close()
	borrowed, err := New(pool, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, borrowed.Close()) }()
	for name, kv := range map[string]*KV{"opened": opened, "borrowed": borrowed} {
		for _, end := range []func(){s.Stop, s.Kill} {
			mustWork(t, kv)
			warm(t, kv, 8)
			end()
			refused := kv.SetRaw(t.Context(), "key", []byte("nobody is there"))
			require.ErrorIs(t, refused, resilient.ErrRefused, name)
			s.Start()
			warm(t, kv, 8)
			end()
			s.Start()
			mustWork(t, kv)
		}
	}
}

func TestIdleConnectionsToAFrozenServerAreFoundOutBeforeAnythingIsSent(t *testing.T) {
	s, kv := onServer(t, Config{DialTimeout: 500 * time.Millisecond, PoolSize: 2})
	mustWork(t, kv)
	warm(t, kv, 2)
	idle()
	s.Freeze()
	for range 5 { // and takes the places of those that do not
		require.ErrorIs(t, kv.SetRaw(t.Context(), "key", []byte("frozen")), resilient.ErrRefused)
	}
	s.Wake()
	mustWork(t, kv)
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.NotEqual(t, "frozen", string(value))
}

func TestPlacesInThePoolAreFreeAgainSoonAfterCallsThatWereEnded(t *testing.T) {
	const limit = 100 * time.Millisecond
	s := servertest.Postgres(t)
	kv := inUse(t, servertest.PostgresURL(s), Config{PoolSize: 2, DialTimeout: 500 * time.Millisecond})
	mustWork(t, kv)
	warm(t, kv, 2)
	s.Freeze()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		require.ErrorIs(t, kv.SetRaw(ctx, "key", nil), resilient.ErrAmbiguous)
		cancel()
	}
	// Not after the 15 s that pgx would take.
	require.Eventually(t, func() bool { return kv.pool.Stat().TotalConns() == 0 }, 10*time.Second, time.Millisecond)
	s.Wake()
	// A server that has just woken may take longer than that to greet.
	require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, time.Millisecond)
	mustWork(t, kv)
}

func TestS31_CloseEndsCallsAtAFrozenServer(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	s := servertest.Postgres(t)
	kv := inUse(t, servertest.PostgresURL(s), Config{DialTimeout: time.Minute})
	mustWork(t, kv)
	ops := operations(kv)
	warm(t, kv, len(ops)-1) // one of them dials
	s.Freeze()
	ended := make(chan error, len(ops))
	for _, o := range ops {
		go func() {
			err := o.call(context.WithoutCancel(t.Context()))
			if o.writes && certainty(err) == "unknown" {
				err = fmt.Errorf("neither ambiguous nor refused: %v", err)
			}
			ended <- err
		}()
	}
	require.Eventually(t, func() bool {
		stat := kv.pool.Stat()
		return stat.AcquiredConns() == int32(len(ops)-1) && stat.ConstructingConns() == 1
	}, patience, time.Millisecond)
	began := time.Now()
	require.NoError(t, kv.Close())
	require.Less(t, time.Since(began), late)
	for range ops {
		require.ErrorIs(t, <-ended, resilient.ErrClosed)
	}
	for _, o := range ops {
		require.ErrorIs(t, o.call(t.Context()), resilient.ErrClosed, o.name)
	}
	s.Kill()
	goleak.VerifyNone(t, leaks)
}

func TestAfterARestartEachOldConnectionFailsAtMostOneCall(t *testing.T) {
	for name, restart := range map[string]func(*servertest.Server){
		"stopped": func(s *servertest.Server) { s.Stop(); s.Start() },
		"killed":  func(s *servertest.Server) { s.Kill(); s.Start() },
	} {
		t.Run(name, func(t *testing.T) {
			const size = 4
			s, kv := onServer(t, Config{PoolSize: size})
			mustWork(t, kv)
			warm(t, kv, size)
			restart(s)
			failed := 0
			for range 3 * size {
				if err := kv.SetRaw(t.Context(), "key", []byte("after")); err != nil {
					require.NotEqual(t, "unknown", certainty(err), err)
					failed++
				}
			}
			require.LessOrEqual(t, failed, size)
			mustWork(t, kv)
		})
	}
}

// waiting returns how many sessions wait for a lock.
func waiting(t *testing.T, other *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, other.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&n))
	return n
}

func TestAWriteWhoseCallerHasLeftIsCancelledAndNotAppliedLater(t *testing.T) {
	s, kv := onServer(t, Config{LockTimeout: -1, StatementTimeout: -1})
	mustWork(t, kv)
	other := session(t, s)
	run(t, other, "BEGIN; LOCK TABLE holdfast IN SHARE MODE")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, kv.SetRaw(ctx, "key", []byte("abandoned")), resilient.ErrAmbiguous)
	require.Eventually(t, func() bool { return waiting(t, other) == 0 }, patience, time.Millisecond)
	run(t, other, "COMMIT")
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
}

func TestALockThatKeepsWritersOutIsRefusedAndUnhealthy(t *testing.T) {
	s, kv := onServer(t, Config{LockTimeout: 50 * time.Millisecond})
	mustWork(t, kv)
	other := session(t, s)
	for mode, reads := range map[string]bool{"ACCESS EXCLUSIVE": false, "SHARE": true} {
		run(t, other, "BEGIN; LOCK TABLE holdfast IN "+mode+" MODE")
		for _, o := range operations(kv) {
			err := o.call(t.Context())
			if reads && !o.writes && o.name != "Health" {
				require.NoError(t, err, o.name)
				continue
			}
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.ErrorContains(t, err, "55P03", o.name)
		}
		run(t, other, "COMMIT")
		mustWork(t, kv)
	}
}

func TestABorrowedPoolStaysOpen(t *testing.T) {
	s, first := onServer(t, Config{LockTimeout: -1, StatementTimeout: -1})
	kv, err := New(first.pool, Config{Namespace: "borrowed", Timeout: patience})
	require.NoError(t, err)
	mustWork(t, kv)
	other := session(t, s)
	run(t, other, "BEGIN; LOCK TABLE borrowed IN SHARE MODE")
	ended := make(chan error, 1)
	go func() { ended <- kv.SetRaw(context.WithoutCancel(t.Context()), "key", nil) }()
	require.Eventually(t, func() bool { return waiting(t, other) == 1 }, patience, time.Millisecond)
	require.NoError(t, kv.Close())
	err = <-ended
	require.ErrorIs(t, err, resilient.ErrClosed)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	run(t, other, "COMMIT")
	mustWork(t, first)
	require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrClosed)
}

func TestRegression_TimeoutsOfMonthsKeptEveryConnectionOut(t *testing.T) {
	_, kv := onServer(t, Config{StatementTimeout: math.MaxInt64, LockTimeout: 25 * 24 * time.Hour})
	mustWork(t, kv)
	var statement, lock string
	require.NoError(t, kv.pool.QueryRow(t.Context(), "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')").Scan(&statement, &lock))
	require.Equal(t, "2147483647ms", statement)
	require.Equal(t, "2147483647ms", lock, "the server's most, 24.8 days")
}
