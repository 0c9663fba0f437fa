package network

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/consulkv"
	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/backends/mongokv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// store is what every backend is.
type store interface {
	resilient.KVWithHealth
	resilient.Batcher
	resilient.Classifier
}

// dialTimeout is the backends' DialTimeout: the call's own time is what ends it.
const dialTimeout = 2 * comfort

// backend is one that speaks to a server.
type backend struct {
	name   string
	atomic bool // a batch of three keys is applied as a whole or not at all
	start  func(tb testing.TB) *servertest.Server
	url    func(s *servertest.Server) string
	open   func(url, namespace string) (store, error)
	// redials is how long a client that dials by itself may take to find that
	// the network is well again: its calls are refused until then. 0 = a call
	// dials.
	redials time.Duration
	// apart gives each cell a collection of its own, in a database that hardly
	// any other cell uses meanwhile: its namespace is database.collection.
	apart bool
}

var backends = []backend{
	{name: "rediskv", start: redis, url: redisURL, open: func(url, namespace string) (store, error) {
		return rediskv.Open(url, rediskv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	{name: "postgreskv", atomic: true, start: postgres, url: servertest.PostgresURL, open: func(url, namespace string) (store, error) {
		return postgreskv.Open(url, postgreskv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	{name: "mysqlkv", atomic: true, start: mysql, url: servertest.MySQLDSN, open: func(url, namespace string) (store, error) {
		return mysqlkv.Open(url, mysqlkv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	// It waits for up to 600 ms from one try to the next.
	{name: "etcdkv", atomic: true, redials: time.Second, start: etcd, url: address, open: func(url, namespace string) (store, error) {
		return etcdkv.Open([]string{url}, etcdkv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	{name: "consulkv", atomic: true, start: consul, url: address, open: func(url, namespace string) (store, error) {
		return consulkv.Open(url, consulkv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	// FerretDB finds one key by an index, and reads the whole collection, values
	// included, for every other find; its SQLite lets one write to a database at a
	// time, and the others ask again and again, for seconds, whether it is their
	// turn. One collection for all cells takes minutes, and its calls their time.
	{name: "mongokv", apart: true, start: mongo, url: servertest.FerretDBURI, open: func(url, namespace string) (store, error) {
		database, collection, _ := strings.Cut(namespace, ".")
		return mongokv.Open(url, mongokv.Config{Database: database, Namespace: collection, DialTimeout: dialTimeout})
	}},
}

func address(s *servertest.Server) string  { return s.Addr() }
func redisURL(s *servertest.Server) string { return "redis://" + s.Addr() }

func redis(tb testing.TB) *servertest.Server    { return servertest.Redis(tb) }
func postgres(tb testing.TB) *servertest.Server { return servertest.Postgres(tb) }
func mysql(tb testing.TB) *servertest.Server    { return servertest.MySQL(tb) }
func etcd(tb testing.TB) *servertest.Server     { return servertest.Etcd(tb) }
func mongo(tb testing.TB) *servertest.Server    { return servertest.FerretDB(tb) }
func consul(tb testing.TB) *servertest.Server   { return servertest.Consul(tb) }

// site is a running server with a store on it that no proxy stands before.
type site struct {
	backend
	server *servertest.Server
	truth  store
}

// shared is the namespace of all that need none of their own: each server serves
// one test.
const shared = "network"

func (b backend) site(t *testing.T) *site {
	s := &site{backend: b, server: b.start(t)}
	var err error
	s.truth, err = b.open(b.url(s.server), shared)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.truth.Close()) })
	// The first contact may make a table, which takes as long as it takes.
	require.Eventually(t, func() bool {
		return s.truth.Health(t.Context()) == nil && s.truth.SetRaw(t.Context(), "first", nil) == nil
	},
		time.Minute, 10*time.Millisecond)
	return s
}

// through opens a store whose connections all go through p.
func (s *site) through(p *proxy, namespace string) (store, error) {
	return s.open(strings.Replace(s.url(s.server), s.server.Addr(), p.addr(), 1), namespace)
}
