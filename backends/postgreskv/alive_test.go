//go:build linux || darwin || freebsd

package postgreskv

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAConnectionIsAliveUntilTheOtherSideHasSaidOrClosedAnything(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	lines := newLines(time.Minute)
	for name, end := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { _ = c.Close() },
		"reset":  func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"told": func(c net.Conn) {
			_, err := c.Write([]byte("E"))
			require.NoError(t, err)
		},
	} {
		conn, err := lines.dial(context.Background(), "tcp", l.Addr().String())
		require.NoError(t, err)
		secure := tls.Client(conn, &tls.Config{ServerName: "somewhere"})
		other, err := l.Accept()
		require.NoError(t, err)
		require.True(t, alive(conn), name)
		require.True(t, alive(secure), name)
		// What a deadline that has passed says of a read is nothing about the socket.
		require.NoError(t, conn.SetDeadline(time.Now().Add(-time.Second)))
		require.True(t, alive(conn), name)
		end(other)
		require.Eventually(t, func() bool { return !alive(conn) }, patience, time.Millisecond, name)
		require.False(t, alive(secure), name)
		require.NoError(t, conn.Close())
		require.False(t, alive(conn), name)
		_ = other.Close()
	}
}
