package servertest

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReplicaHasWhatItsPrimaryHas(t *testing.T) {
	primary := Redis(t)
	primary.must("SET key value")
	replica := RedisReplica(t, primary)
	answer, err := ask(t, connect(t, replica), "STRLEN key")
	require.NoError(t, err)
	require.Equal(t, ":5\r\n", answer)
	answer, err = ask(t, connect(t, replica), "SET key other")
	require.NoError(t, err)
	require.Contains(t, answer, "-READONLY")
}

func TestARedisWithTLSSpeaksNothingElse(t *testing.T) {
	s, pool := RedisTLS(t)
	c, err := tls.Dial("tcp", s.Addr(), &tls.Config{RootCAs: pool})
	require.NoError(t, err)
	defer c.Close()
	answer, err := ask(t, c, "PING")
	require.NoError(t, err)
	require.Equal(t, "+PONG\r\n", answer)
	answer, err = ask(t, connect(t, s), "PING")
	require.False(t, err == nil && answer == "+PONG\r\n")
	s.Kill()
	s.Start()
}

func TestTheNodesOfAClusterShareItsSlots(t *testing.T) {
	nodes := RedisCluster(t, 2)
	var moved int
	for _, s := range nodes {
		answer, err := ask(t, connect(t, s), "GET key")
		require.NoError(t, err)
		if answer != "$-1\r\n" {
			require.Contains(t, answer, "-MOVED")
			moved++
		}
	}
	require.Equal(t, 1, moved)
}
