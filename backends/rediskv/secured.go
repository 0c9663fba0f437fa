package rediskv

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// secured is a TLS connection that lets the driver's pool look at its socket, as
// that does with a plaintext one before it is used again: a server that has closed
// it is found out before anything is sent. What TLS says to an idle connection
// is that it ends.
type secured struct{ conn *tls.Conn }

var (
	_ net.Conn     = (*secured)(nil)
	_ syscall.Conn = (*secured)(nil)
)

var errNoSocket = errors.New("the connection is no socket")

// SyscallConn returns the socket below TLS.
func (s *secured) SyscallConn() (syscall.RawConn, error) {
	if socket, ok := s.conn.NetConn().(syscall.Conn); ok {
		return socket.SyscallConn()
	}
	return nil, errNoSocket
}

func (s *secured) Read(b []byte) (int, error)         { return s.conn.Read(b) }
func (s *secured) Write(b []byte) (int, error)        { return s.conn.Write(b) }
func (s *secured) Close() error                       { return s.conn.Close() }
func (s *secured) LocalAddr() net.Addr                { return s.conn.LocalAddr() }
func (s *secured) RemoteAddr() net.Addr               { return s.conn.RemoteAddr() }
func (s *secured) SetDeadline(t time.Time) error      { return s.conn.SetDeadline(t) }
func (s *secured) SetReadDeadline(t time.Time) error  { return s.conn.SetReadDeadline(t) }
func (s *secured) SetWriteDeadline(t time.Time) error { return s.conn.SetWriteDeadline(t) }
