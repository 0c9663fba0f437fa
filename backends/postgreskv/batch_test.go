package postgreskv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// numbered returns n keys with values of size bytes.
func numbered(n, size int) (keys []string, entries map[string][]byte) {
	entries = make(map[string][]byte, n)
	for i := range n {
		keys = append(keys, fmt.Sprintf("key %06d", i))
		entries[keys[i]] = make([]byte, size)
	}
	return keys, entries
}

func TestBatchesThatSetAndDeleteTheSameKeysDoNotDeadlock(t *testing.T) {
	ctx := t.Context()
	s, kv := onServer(t, Config{LockTimeout: -1}, "deadlock_timeout=20ms", "fsync=off")
	keys, entries := numbered(300, 10)
	require.NoError(t, kv.BatchSetRaw(ctx, entries))
	var all sync.WaitGroup
	errs := make([]error, 8)
	for g := range errs {
		all.Go(func() {
			for range 30 {
				if g%2 == 0 {
					errs[g] = errors.Join(errs[g], kv.BatchSetRaw(ctx, entries))
				} else {
					errs[g] = errors.Join(errs[g], kv.BatchDelete(ctx, keys[g*10:]))
				}
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, kv.Close()) // sessions tell what they have counted when they end
	admin := session(t, s)
	require.Eventually(t, func() bool {
		var sessions, deadlocks int
		require.NoError(t, admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").Scan(&sessions))
		require.NoError(t, admin.QueryRow(ctx, "SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'").Scan(&deadlocks))
		require.Zero(t, deadlocks)
		return sessions == 1
	}, patience, time.Millisecond)
}

func TestABatchOfManyStatementsIsOneTransaction(t *testing.T) {
	ctx := t.Context()
	s, kv := onServer(t, Config{LockTimeout: -1, StatementTimeout: 2 * time.Second})
	keys, entries := numbered(2*batchCount+1, 0)
	require.NoError(t, kv.SetRaw(ctx, keys[2*batchCount], []byte("old")))
	other := session(t, s)
	run(t, other, "BEGIN; UPDATE holdfast SET value = 'locked'") // the last key of the batch waits, the others are written
	require.ErrorIs(t, kv.BatchSetRaw(ctx, entries), resilient.ErrRefused)
	run(t, other, "ROLLBACK")
	left, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, keys[2*batchCount:], left)

	require.NoError(t, kv.BatchSetRaw(ctx, entries))
	left, err = kv.List(ctx, "key")
	require.NoError(t, err)
	require.Equal(t, keys, left, "more pages than one")
	run(t, other, "BEGIN; UPDATE holdfast SET value = 'locked' WHERE key = 'key 020000'")
	require.ErrorIs(t, kv.BatchDelete(ctx, keys), resilient.ErrRefused)
	run(t, other, "ROLLBACK")
	found, err := kv.BatchGetRaw(ctx, keys)
	require.NoError(t, err)
	require.Len(t, found, len(keys))
	require.NoError(t, kv.BatchDelete(ctx, keys))
	left, err = kv.List(ctx, "")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestABatchOfManyStatementsWhoseCallerLeavesIsNotAppliedInPart(t *testing.T) {
	s := servertest.Postgres(t)
	kv := open(t, servertest.PostgresURL(s), Config{LockTimeout: -1})
	keys, entries := numbered(batchCount+1, 0)
	require.NoError(t, kv.SetRaw(t.Context(), keys[batchCount], nil))
	other := session(t, s)
	run(t, other, "BEGIN; UPDATE holdfast SET value = 'locked'")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- kv.BatchSetRaw(ctx, entries) }()
	waits(t, other)
	cancel()
	err := <-ended
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	run(t, other, "ROLLBACK")
	left, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestTheServerEndsWhatNobodyWaitsFor(t *testing.T) {
	s, kv := onServer(t, Config{StatementTimeout: 3 * time.Second, LockTimeout: 2 * time.Second})
	show := func(kv *KV, setting string) (value string) {
		require.NoError(t, kv.pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value))
		return value
	}
	require.Equal(t, "3s", show(kv, "statement_timeout"))
	require.Equal(t, "3s", show(kv, "idle_in_transaction_session_timeout"))
	require.Equal(t, "2s", show(kv, "lock_timeout"))
	kv = open(t, servertest.PostgresURL(s)+"&statement_timeout=7s&pool_max_conns=3", Config{LockTimeout: -1})
	require.Equal(t, "7s", show(kv, "statement_timeout"), "what the URL says stays")
	require.Equal(t, "10s", show(kv, "idle_in_transaction_session_timeout"))
	require.Equal(t, "0", show(kv, "lock_timeout"))
	require.Equal(t, time.Second, kv.pool.Config().PingTimeout)
	require.Equal(t, time.Second, kv.pool.Config().ConnConfig.ConnectTimeout)
	require.EqualValues(t, 3, kv.pool.Config().MaxConns)
	require.EqualValues(t, 8, open(t, nowhere, Config{}).pool.Config().MaxConns)
	require.EqualValues(t, 5, open(t, nowhere+"&pool_max_conns=3", Config{PoolSize: 5}).pool.Config().MaxConns)
}

func TestRegression_OptionsOfTheURLDidNotStay(t *testing.T) {
	s := servertest.Postgres(t)
	for options, want := range map[string]map[string]string{
		"-c statement_timeout=7s -clock_timeout=3s": {
			"statement_timeout": "7s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "10s"},
		"--lock-timeout=3s --Statement_Timeout=7s --idle-in-transaction-session-timeout=4s": {
			"statement_timeout": "7s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "4s"},
		"-c tcp_user_timeout=7s": {
			"statement_timeout": "10s", "lock_timeout": "1500ms", "idle_in_transaction_session_timeout": "10s"},
	} {
		kv := open(t, servertest.PostgresURL(s)+"&options="+strings.ReplaceAll(url.QueryEscape(options), "+", "%20"), Config{})
		for setting, value := range want {
			var is string
			require.NoError(t, kv.pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&is))
			require.Equal(t, value, is, "%s with %q", setting, options)
		}
	}
}

func TestSeveralHostsFollowTheOneThatTakesWrites(t *testing.T) {
	primary, first := onServer(t, Config{})
	mustWork(t, first)
	standby := servertest.PostgresStandby(t, primary)
	url := strings.Replace(servertest.PostgresURL(primary), primary.Addr(), standby.Addr()+","+primary.Addr(), 1)
	kv := open(t, url+"&target_session_attrs=read-write", Config{})
	mustWork(t, kv)
	primary.Kill()
	require.Eventually(t, func() bool { return errors.Is(kv.Health(t.Context()), resilient.ErrRefused) }, patience, time.Millisecond)
	run(t, session(t, standby), "SELECT pg_promote()")
	require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, 10*time.Millisecond)
	mustWork(t, kv)
}

func TestRegression_OneOfSeveralHostsAnsweredWithWhatWasOverwritten(t *testing.T) {
	primary, first := onServer(t, Config{})
	require.NoError(t, first.SetRaw(t.Context(), "key", []byte("old")))
	standby := servertest.PostgresStandby(t, primary)
	onStandby := session(t, standby)
	require.Eventually(t, func() bool {
		var rows int
		return onStandby.QueryRow(t.Context(), "SELECT count(*) FROM holdfast").Scan(&rows) == nil && rows == 1
	}, patience, time.Millisecond)
	run(t, onStandby, "SELECT pg_wal_replay_pause()") // it is behind, as any standby may be
	hosts := strings.Replace(servertest.PostgresURL(primary), primary.Addr(), primary.Addr()+","+standby.Addr(), 1)
	for _, attrs := range []string{"", "&target_session_attrs=any"} {
		kv := open(t, hosts+attrs, Config{})
		require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("new")))
		primary.Kill()
		value, err := kv.GetRaw(t.Context(), "key")
		require.ErrorIs(t, err, resilient.ErrUnavailable, "%q", value)
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused)
		primary.Start()
		value, err = kv.GetRaw(t.Context(), "key")
		require.NoError(t, err)
		require.Equal(t, "new", string(value))
	}
	// A host that is alone is what the URL wants, and Health tells what it is.
	lone := open(t, servertest.PostgresURL(standby), Config{})
	_, err := lone.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.ErrorIs(t, lone.Health(t.Context()), resilient.ErrRefused)
}
