package postgreskv

import (
	"net"
	"syscall"
)

// alive reports whether conn, on which nobody waits for an answer, can still be
// used as far as this machine knows: a server that was restarted or has ended
// the session has closed it, which a write does not notice. It sends nothing and
// does not wait. What cannot be asked counts as alive.
func alive(conn net.Conn) bool {
	for {
		switch c := conn.(type) {
		case syscall.Conn:
			raw, err := c.SyscallConn()
			return err == nil && quiet(raw)
		case interface{ NetConn() net.Conn }: // TLS, line
			conn = c.NetConn()
		default:
			return true
		}
	}
}
