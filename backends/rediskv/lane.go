package rediskv

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// lane is a client with at most one connection, used by one call at a time.
type lane struct {
	client *redis.Client
	era    uint64      // of lanes, in which it was made
	secure *tls.Config // nil = plaintext
	dialer net.Dialer
	dials  sync.WaitGroup // calls of dial

	// mu guards what the end of a ctx, Close and the driver's dialing goroutine
	// look at beside the call itself.
	mu struct {
		sync.Mutex
		call   uint64             // number of the call that has the lane
		over   bool               // that call's ctx has ended
		closed bool               // for good: the store is
		conn   net.Conn           // the one socket, below TLS; nil before the first
		up     bool               // conn has its handshake behind it and can carry a command
		abort  context.CancelFunc // ends the dial in progress; nil = none
	}
}

func newLane(opts *redis.Options, era uint64) *lane {
	own := *opts
	ln := &lane{era: era, secure: own.TLSConfig, dialer: net.Dialer{Timeout: own.DialTimeout, KeepAliveConfig: keepAlive}}
	own.Dialer, own.OnConnect = ln.dial, ln.greeted
	ln.client = redis.NewClient(&own)
	return ln
}

// run calls do and closes the lane's connection when ctx ends before do has
// returned. Without a connection whose handshake has been answered nothing of
// the call was sent.
func (ln *lane) run(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) error {
	ln.mu.Lock()
	ln.mu.over = false
	call := ln.mu.call
	ln.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { ln.interrupt(call) })
	defer ln.finish()
	defer stop()
	err := do(ctx, ln.client)
	if err != nil && !ln.isUp() {
		return unsent("no connection", judge(err))
	}
	return err
}

// interrupt ends the call of that number if it still has the lane.
func (ln *lane) interrupt(call uint64) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.mu.call == call {
		ln.mu.over = true
		ln.cutLocked()
	}
}

// cutLocked ends what waits for the network.
func (ln *lane) cutLocked() {
	if ln.mu.conn != nil {
		_ = ln.mu.conn.Close()
	}
	if ln.mu.abort != nil {
		ln.mu.abort()
	}
}

// finish makes an interrupt that comes too late do nothing.
func (ln *lane) finish() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.mu.call++
}

func (ln *lane) isUp() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	return ln.mu.up
}

// shut ends the lane's call and refuses it another connection.
func (ln *lane) shut() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.mu.closed = true
	ln.cutLocked()
}

// end closes a lane that nobody uses and nobody will use again.
func (ln *lane) end() {
	ln.shut()
	ln.close()
}

// close waits for what the driver may still be doing after the call that
// wanted it has left. The lane is shut: TLS has no socket to say goodbye on.
func (ln *lane) close() {
	ln.dials.Wait()
	_ = ln.client.Close() // the socket is closed, whatever this says
}

// dial makes the lane's connection. It never returns an error: the driver
// would print it, and remember it for later calls. A connection that was not
// made is one that fails.
func (ln *lane) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !ln.beginDial(cancel) {
		return &broken{net.ErrClosed}, nil
	}
	defer ln.dials.Done()
	conn, err := ln.connect(ctx, network, addr)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.mu.abort = nil
	if err == nil && (ln.mu.over || ln.mu.closed) {
		err = net.ErrClosed
	}
	if err != nil {
		if ln.mu.conn != nil {
			_ = ln.mu.conn.Close()
		}
		// The driver takes one layer off what its handshake meets.
		return &broken{unsent("cannot connect", err)}, nil
	}
	return conn, nil
}

// greeted is called once the server has answered the driver's handshake, and
// before the first command.
func (ln *lane) greeted(context.Context, *redis.Conn) error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.mu.up = true
	return nil
}

// beginDial reports whether there is still somebody to dial for.
func (ln *lane) beginDial(abort context.CancelFunc) bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.mu.conn, ln.mu.up = nil, false // the driver has closed the one before
	if ln.mu.over || ln.mu.closed {
		return false
	}
	ln.mu.abort = abort
	ln.dials.Add(1)
	return true
}

func (ln *lane) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := ln.dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ln.mu.Lock()
	ln.mu.conn = conn
	ln.mu.Unlock()
	if ln.secure == nil {
		return conn, nil
	}
	secure := tls.Client(conn, ln.secure)
	return &secured{secure}, secure.HandshakeContext(ctx)
}
