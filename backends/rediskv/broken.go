package rediskv

import (
	"net"
	"syscall"
	"time"
)

// keepAlive notices a dead peer of an idle connection after 45 s; the figures
// are go-redis' own (defaultKeepAliveConfig in v9.23.0).
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// broken is a connection that was never made.
type broken struct{ err error }

var (
	_ net.Conn     = (*broken)(nil)
	_ syscall.Conn = (*broken)(nil)
)

func (b *broken) Read([]byte) (int, error)         { return 0, b.err }
func (b *broken) Write([]byte) (int, error)        { return 0, b.err }
func (b *broken) Close() error                     { return nil }
func (b *broken) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (b *broken) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (b *broken) SetDeadline(time.Time) error      { return nil }
func (b *broken) SetReadDeadline(time.Time) error  { return nil }
func (b *broken) SetWriteDeadline(time.Time) error { return nil }

// SyscallConn fails, which tells the driver's pool that an idle connection is
// no longer one: a later call dials anew.
func (b *broken) SyscallConn() (syscall.RawConn, error) { return nil, b.err }
