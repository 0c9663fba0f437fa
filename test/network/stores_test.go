package network

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

// dialTimeout is the backends' DialTimeout: less than patience, so that a call
// that gets no connection says so before its time is over.
const dialTimeout = patience / 2

// backend is one that speaks to a server.
type backend struct {
	name   string
	atomic bool // a batch is applied as a whole or not at all
	start  func(tb testing.TB) *servertest.Server
	url    func(s *servertest.Server) string
	open   func(url, namespace string) (store, error)
}

var backends = []backend{
	{"rediskv", false, redis, func(s *servertest.Server) string { return "redis://" + s.Addr() }, func(url, namespace string) (store, error) {
		return rediskv.Open(url, rediskv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	{"postgreskv", true, postgres, servertest.PostgresURL, func(url, namespace string) (store, error) {
		return postgreskv.Open(url, postgreskv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
	{"mysqlkv", true, mysql, servertest.MySQLDSN, func(url, namespace string) (store, error) {
		return mysqlkv.Open(url, mysqlkv.Config{Namespace: namespace, DialTimeout: dialTimeout})
	}},
}

func redis(tb testing.TB) *servertest.Server    { return servertest.Redis(tb) }
func postgres(tb testing.TB) *servertest.Server { return servertest.Postgres(tb) }
func mysql(tb testing.TB) *servertest.Server    { return servertest.MySQL(tb) }

// site is a running server with a store on it that no proxy stands before.
type site struct {
	backend
	server *servertest.Server
	truth  store
}

// namespace is the same for all: each server serves one test.
const namespace = "network"

func (b backend) site(t *testing.T) *site {
	s := &site{backend: b, server: b.start(t)}
	var err error
	s.truth, err = b.open(b.url(s.server), namespace)
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
func (s *site) through(p *proxy) (store, error) {
	return s.open(strings.ReplaceAll(s.url(s.server), s.server.Addr(), p.addr()), namespace)
}
