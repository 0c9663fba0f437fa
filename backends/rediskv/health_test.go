package rediskv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// calls returns how often the server has carried command out.
func calls(tb testing.TB, client *redis.Client, command string) (n int) {
	tb.Helper()
	info, err := client.Info(tb.Context(), "commandstats").Result()
	require.NoError(tb, err)
	_, rest, ok := strings.Cut(info, "cmdstat_"+command+":calls=")
	if ok {
		_, err = fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
		require.NoError(tb, err)
	}
	return n
}

func TestHealthLeavesNoKey(t *testing.T) {
	s := servertest.Redis(t)
	client := bare(t, s)
	for _, way := range connects {
		for _, canary := range []bool{false, true} {
			kv := way.open(t, s, Config{Canary: canary})
			for range 5 {
				require.NoError(t, kv.Health(t.Context()))
			}
			size, err := client.DBSize(t.Context()).Result()
			require.NoError(t, err)
			require.Zero(t, size)
		}
	}
	require.Equal(t, 2*(5+10), calls(t, client, "set"), "a canary is one SET more")
}

func TestTheCanaryExpiresAndIsNotListed(t *testing.T) {
	s := servertest.Redis(t, "--rename-command", "DEL", "") // so that it stays
	kv := open(t, s, Config{Canary: true})
	require.Error(t, kv.Health(t.Context()), "without DEL the store does not serve")
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)
	client := bare(t, s)
	left, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.True(t, strings.HasPrefix(left[0], "holdfast:\x00canary:"))
	ttl, err := client.TTL(t.Context(), left[0]).Result()
	require.NoError(t, err)
	require.Positive(t, ttl)
	require.LessOrEqual(t, ttl, canaryExpiry)
}

func TestAServerThatIsOnlyJustNotFullIsNotHealthy(t *testing.T) {
	s := servertest.Redis(t, "--appendonly", "no")
	kv, client := open(t, s, Config{}), bare(t, s)
	require.NoError(t, kv.Health(t.Context()))
	used := func() (n int) {
		info, err := client.Info(t.Context(), "memory").Result()
		require.NoError(t, err)
		_, rest, _ := strings.Cut(info, "used_memory:")
		_, err = fmt.Sscan(strings.SplitN(rest, "\r\n", 2)[0], &n)
		require.NoError(t, err)
		return n
	}
	do(t, s, "CONFIG", "SET", "maxmemory", used()+len(ballast)/2)
	require.ErrorContains(t, kv.Health(t.Context()), "OOM")
	do(t, s, "CONFIG", "SET", "maxmemory", used()+1<<20)
	require.NoError(t, kv.Health(t.Context()))
}

func TestAClusterThatHasLostAPrimaryIsNotHealthy(t *testing.T) {
	nodes := servertest.RedisCluster(t, 2)
	client := redis.NewClusterClient(clusterOptions(nodes))
	kv, err := New(client, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()); require.NoError(t, client.Close()) }()
	serves(t, kv)
	for _, s := range nodes {
		s.Kill()
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrUnavailable)
		s.Start()
		require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, tooLate/100)
	}
}

func TestAReplicaIsNotHealthyEvenIfItTakesWrites(t *testing.T) {
	replica := servertest.RedisReplica(t, servertest.Redis(t), "--replica-read-only", "no")
	kv := open(t, replica, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	err := kv.Health(t.Context())
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "replica")
	do(t, replica, "REPLICAOF", "NO", "ONE")
	require.NoError(t, kv.Health(t.Context()))
}
