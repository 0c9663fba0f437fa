package backends_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/consulkv"
	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/backends/mongokv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(lifeVariable); text != "" {
		live(text)
	}
	goleak.VerifyTestMain(m)
}

// place is where stores of one kind are: a server, or a folder.
type place struct {
	name   string
	where  string             // URL, or folder
	server *servertest.Server // nil = in this process
	skip   func(key string) bool
}

// server starts one with the given settings.
type server func(tb testing.TB, settings ...string) *servertest.Server

// newPlace starts what stores of that kind need; it lasts as long as tb.
func newPlace(tb testing.TB, kind string) *place {
	tb.Helper()
	return startPlace(tb, kind, func(start server) *servertest.Server { return start(tb) })
}

// newCalmPlace is newPlace for a test that hurts no server.
func newCalmPlace(tb testing.TB, kind string) *place {
	tb.Helper()
	return startPlace(tb, kind, func(start server) *servertest.Server { return servertest.InMemory(tb, start) })
}

func startPlace(tb testing.TB, kind string, begin func(server) *servertest.Server) *place {
	tb.Helper()
	p := &place{name: kind}
	switch kind {
	case "bolt":
		// A disk that is busy with other tests must not slow down the one member
		// that is always well.
		p.where = servertest.InMemoryFolder(tb)
	case "redis":
		p.server = begin(servertest.Redis)
		p.where = "redis://" + p.server.Addr()
	case "postgres":
		p.server = begin(servertest.Postgres)
		p.where = servertest.PostgresURL(p.server)
	case "mysql":
		p.server = begin(servertest.MySQL)
		p.where = servertest.MySQLDSN(p.server)
	case "etcd":
		p.server = begin(servertest.Etcd)
		p.where = p.server.Addr()
	case "consul":
		p.server = begin(servertest.Consul)
		p.where = p.server.Addr()
	case "mongo":
		p.server = begin(servertest.FerretDB)
		p.where = servertest.FerretDBURI(p.server)
	}
	return p
}

// openAt opens the store with that namespace at a place.
func openAt(a address, namespace string) (resilient.KVWithHealth, error) {
	switch a.Kind {
	case "bolt":
		// Its process is killed here, not its machine.
		return boltkv.Open(filepath.Join(a.Where, namespace+".db"), boltkv.Config{NoSync: true})
	case "redis":
		return rediskv.Open(a.Where, rediskv.Config{Namespace: namespace})
	case "postgres":
		return postgreskv.Open(a.Where, postgreskv.Config{Namespace: namespace})
	case "mysql":
		return mysqlkv.Open(a.Where, mysqlkv.Config{Namespace: namespace})
	case "etcd":
		return etcdkv.Open([]string{a.Where}, etcdkv.Config{Namespace: namespace})
	case "consul":
		return consulkv.Open(a.Where, consulkv.Config{Namespace: namespace})
	case "mongo":
		// FerretDB hangs when more commands than that write many keys at once.
		return mongokv.Open(a.Where, mongokv.Config{Namespace: namespace, MaxValue: 1 << 20, BatchKeys: 8, PoolSize: 16})
	}
	return nil, fmt.Errorf("no such kind of store: %s", a.Kind)
}

// open returns a client of the store with that namespace.
func (p *place) open(tb testing.TB, namespace string) resilient.KVWithHealth {
	kv, err := openAt(address{p.name, p.where}, namespace)
	require.NoError(tb, err)
	return kv
}

var namespaces atomic.Int64

// fresh returns a namespace that nobody has used.
func fresh() string { return fmt.Sprintf("t%d", namespaces.Add(1)) }

// harness opens a fresh store of p for each test.
func (p *place) harness() kvtest.Harness {
	return kvtest.Harness{
		Open:     func(tb testing.TB) resilient.KVWithHealth { return p.open(tb, fresh()) },
		SkipKeys: p.skip,
	}
}
