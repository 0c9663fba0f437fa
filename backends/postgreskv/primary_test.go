package postgreskv

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// TestRegression_WritesStayedWithAReadOnlyServerForAnHour: connections were made
// while the name of the primary still pointed to what is a standby by now.
func TestRegression_WritesStayedWithAReadOnlyServerForAnHour(t *testing.T) {
	s, before := onServer(t, Config{})
	mustWork(t, before)
	operator := session(t, s)
	const readOnly = "ALTER DATABASE postgres SET default_transaction_read_only = " // for sessions that begin later
	run(t, operator, readOnly+"on")
	kv := open(t, servertest.PostgresURL(s), Config{})
	warm(t, kv, 4)
	run(t, operator, readOnly+"off")
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	mustWork(t, kv)

	// One that stays read-only is not left for each of its answers.
	run(t, operator, readOnly+"on")
	kv.pool.Reset()
	warm(t, kv, 1)
	kv.left.Store(time.Now().Add(time.Hour).UnixNano())
	made := kv.pool.Stat().NewConnsCount()
	for range 8 {
		require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	}
	require.Equal(t, made, kv.pool.Stat().NewConnsCount())

	// A pool that is borrowed is its owner's.
	borrowed, err := New(kv.pool, Config{})
	require.NoError(t, err)
	require.ErrorIs(t, borrowed.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	require.Equal(t, made, kv.pool.Stat().NewConnsCount())
	require.NotZero(t, kv.pool.Stat().IdleConns())
}
