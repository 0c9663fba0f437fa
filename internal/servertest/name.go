package servertest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Name is an address behind which a server can be replaced by another. It ends
// with the test, which must have closed its connections by then.
type Name struct {
	addr        string
	server      atomic.Value // host and port, a string
	connections atomic.Int64
}

// NewName returns a name of s.
func NewName(tb testing.TB, s *Server) *Name {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n := &Name{addr: l.Addr().String()}
	n.Point(s)
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
				server, err := net.Dial("tcp", n.server.Load().(string))
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
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
		all.Wait()
	})
	return n
}

// Addr returns the host and port that clients connect to.
func (n *Name) Addr() string { return n.addr }

// Point lets new connections go to s. Those that are open stay.
func (n *Name) Point(s *Server) { n.server.Store(s.Addr()) }

// Connections returns how many have been accepted so far.
func (n *Name) Connections() int { return int(n.connections.Load()) }
