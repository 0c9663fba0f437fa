package rediskv

import (
	"bufio"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

// connected returns a store on connections made from opts.
func connected(opts *redis.Options, cfg Config) *KV {
	gate := guard.NewGate()
	return build(cfg, gate, newLanes(gate, opts, cfg))
}

// babbler is a server that answers every line with the same words.
func babbler(t *testing.T, words string) (addr string) {
	t.Helper()
	return answering(t, func(c net.Conn, _ string) bool {
		_, err := io.WriteString(c, words)
		return err == nil
	})
}

// answering is a server that calls answer for each line that it reads, and
// closes the connection once it returns false.
func answering(t *testing.T, answer func(c net.Conn, line string) bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if !answer(c, lines.Text()) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		all.Wait()
	})
	return l.Addr().String()
}
