package rediskv

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// harness opens stores by connect, each with a namespace of its own.
func harness(connect func(tb testing.TB, cfg Config) *KV) kvtest.Harness {
	var last string // namespace
	again := func(tb testing.TB) resilient.KVWithHealth {
		// The default of 5s is not for 70,000 keys on a machine that does other things.
		return connect(tb, Config{Namespace: last, DialTimeout: patience, Timeout: patience})
	}
	return kvtest.Harness{
		Reopen: again,
		Second: again,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			last = fresh()
			return again(tb)
		},
	}
}

// unsynced is a server that does not wait for its disk at each write: what it
// keeps through a crash is not what these tests are about.
func unsynced(tb testing.TB) *servertest.Server {
	return servertest.Redis(tb, "--appendonly", "no")
}

func TestAnOpenedStoreObeysTheContract(t *testing.T) {
	s := unsynced(t)
	kvtest.RunDecorated(t, harness(func(tb testing.TB, cfg Config) *KV {
		kv, err := Open("redis://"+s.Addr(), cfg)
		require.NoError(tb, err)
		return kv
	}))
}

func TestAStoreOnABorrowedClientObeysTheContract(t *testing.T) {
	client := bare(t, unsynced(t))
	kvtest.Run(t, harness(func(tb testing.TB, cfg Config) *KV {
		kv, err := New(client, cfg)
		require.NoError(tb, err)
		return kv
	}))
}

func TestAStoreOnAClusterObeysTheContract(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite has run on the other clients")
	}
	client := redis.NewClusterClient(clusterOptions(servertest.RedisCluster(t, 2)))
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	kvtest.Run(t, harness(func(tb testing.TB, cfg Config) *KV {
		kv, err := New(client, cfg)
		require.NoError(tb, err)
		return kv
	}))
}

func clusterOptions(nodes []*servertest.Server) *redis.ClusterOptions {
	o := &redis.ClusterOptions{MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true}
	for _, s := range nodes {
		o.Addrs = append(o.Addrs, s.Addr())
	}
	return o
}
