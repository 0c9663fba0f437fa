package mysqlkv

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
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
	name := newName(t, before.Addr())
	kv, err := Open(strings.Replace(servertest.MySQLDSN(before), before.Addr(), name.addr, 1), Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	warm(t, kv)
	connections(t, kv, 8)
	run(t, admin(t, before), "SET GLOBAL read_only = 1")
	name.points.Store(after.Addr())
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	run(t, admin(t, after), kv.sql.create)
	warm(t, kv)

	// One that stays read-only is not left for each of its answers.
	run(t, admin(t, after), "SET GLOBAL read_only = 1")
	kv.left.Store(time.Now().Add(time.Hour).UnixNano())
	took := name.connections.Load()
	for range 8 {
		require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	}
	require.Equal(t, took, name.connections.Load())
}

// TestRegression_ReadsStayedWithTheOldPrimary: on a connection that was in use
// when the others were given up.
func TestRegression_ReadsStayedWithTheOldPrimary(t *testing.T) {
	before, after := servertest.MySQL(t), servertest.MySQL(t)
	name := newName(t, before.Addr())
	kv, err := Open(strings.Replace(servertest.MySQLDSN(before), before.Addr(), name.addr, 1), Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("old")))
	require.NoError(t, open(t, after, Config{Namespace: defaultNamespace}).SetRaw(t.Context(), "key", []byte("new")))

	busy, err := kv.db.Conn(t.Context())
	require.NoError(t, err)
	run(t, admin(t, before), "SET GLOBAL read_only = 1")
	connections(t, kv, 1)
	name.points.Store(after.Addr())
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", nil), resilient.ErrRefused)
	require.NoError(t, busy.Close())
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "new", string(value))
}

// name is an address behind which a server can be replaced by another.
type name struct {
	addr        string
	points      atomic.Value // the address of the server, a string
	connections atomic.Int64
}

func newName(t *testing.T, addr string) *name {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &name{addr: l.Addr().String()}
	n.points.Store(addr)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			n.connections.Add(1)
			all.Go(func() {
				defer client.Close()
				server, err := net.Dial("tcp", n.points.Load().(string))
				if err != nil {
					return
				}
				defer server.Close()
				all.Go(func() {
					_, _ = io.Copy(server, client)
					_ = server.Close()
				})
				_, _ = io.Copy(client, server)
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	return n
}
