//go:build linux || darwin || freebsd

package rediskv

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

func TestRegression_ARestartFailedTheFirstCallOnEachTLSConnection(t *testing.T) {
	s, pool := servertest.RedisTLS(t)
	cfg := Config{PoolSize: 4, DialTimeout: patience}.withDefaults()
	opts, err := options("rediss://"+s.Addr(), cfg)
	require.NoError(t, err)
	opts.TLSConfig.RootCAs, opts.TLSConfig.ServerName = pool, "localhost"
	kv := connected(opts, cfg)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
	l := kv.via.(*lanes)
	onEach(t, l, 4, "value")
	s.Stop()
	s.Start()
	onEach(t, l, 4, "value")
	onEach(t, l, 4, "value")
	serves(t, kv)
	require.Len(t, l.mu.all, 4)
}

func TestATLSConnectionOverNoSocketIsNotTakenForAlive(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	_, err := (&secured{tls.Client(here, &tls.Config{ServerName: "somewhere"})}).SyscallConn()
	require.ErrorIs(t, err, errNoSocket)
}
