package mysqlkv

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// TestRegression_WritesStayedWithTheOldPrimaryForMinutes: the name of the primary
// points to another server, and the old one is read-only but well.
func TestRegression_WritesStayedWithTheOldPrimaryForMinutes(t *testing.T) {
	before, after := servertest.MySQL(t), servertest.MySQL(t)
	name := servertest.NewName(t, before)
	kv, err := Open(strings.Replace(servertest.MySQLDSN(before), before.Addr(), name.Addr(), 1), Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	warm(t, kv)
	connections(t, kv, 8)
	run(t, admin(t, before), "SET GLOBAL read_only = 1")
	name.Point(after)
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	run(t, admin(t, after), kv.sql.create)
	warm(t, kv)

	// One that stays read-only is not left for each of its answers.
	run(t, admin(t, after), "SET GLOBAL read_only = 1")
	kv.left.Store(time.Now().Add(time.Hour).UnixNano())
	took := name.Connections()
	for range 8 {
		require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	}
	require.Equal(t, took, name.Connections())
}

// TestRegression_ReadsStayedWithTheOldPrimary: on a connection that was in use
// when the others were given up.
func TestRegression_ReadsStayedWithTheOldPrimary(t *testing.T) {
	before, after := servertest.MySQL(t), servertest.MySQL(t)
	name := servertest.NewName(t, before)
	kv, err := Open(strings.Replace(servertest.MySQLDSN(before), before.Addr(), name.Addr(), 1), Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("old")))
	require.NoError(t, open(t, after, Config{Namespace: defaultNamespace}).SetRaw(t.Context(), "key", []byte("new")))

	busy, err := kv.db.Conn(t.Context())
	require.NoError(t, err)
	run(t, admin(t, before), "SET GLOBAL read_only = 1")
	connections(t, kv, 1)
	name.Point(after)
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	require.NoError(t, busy.Close())
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "new", string(value))
}
