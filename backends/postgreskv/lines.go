package postgreskv

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// lines are the network connections of a pool that Open made. When a call is
// ended, pgx says good-bye on its connection, and on a second one asks the
// server to cancel the statement. With a server that is silent that takes up to
// 15 s, in which the place in the pool stays taken and the pool cannot be
// closed. lines shorten it to limit per step, and to nothing once they are cut.
// All methods are safe for concurrent use.
type lines struct {
	limit  time.Duration
	ending context.Context // nobody's call: it is how cut reaches those who dial
	end    context.CancelFunc

	mu struct { // guards what is below
		sync.Mutex
		open map[*line]struct{} // nil = cut
	}
}

var errCut = errors.New("the store is closed")

func newLines(limit time.Duration) *lines {
	l := &lines{limit: limit}
	l.ending, l.end = context.WithCancel(context.Background())
	l.mu.open = map[*line]struct{}{}
	return l
}

// dial connects within l.limit. The connection is good for l.limit, unless
// line.keep is called: one to cancel a statement never comes so far.
func (l *lines) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ending, cancel)()
	d := net.Dialer{Timeout: l.limit}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &line{conn: conn, lines: l}
	if err := errors.Join(l.add(c), conn.SetDeadline(time.Now().Add(l.limit))); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (l *lines) add(c *line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.open == nil {
		return errCut
	}
	l.mu.open[c] = struct{}{}
	return nil
}

func (l *lines) remove(c *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.open, c)
}

// cut closes all connections and refuses new ones.
func (l *lines) cut() {
	l.end()
	l.mu.Lock()
	open := l.mu.open
	l.mu.open = nil
	l.mu.Unlock()
	for c := range open {
		_ = c.conn.Close()
	}
}

// line is one connection. pgx itself closes it at the end.
type line struct {
	conn  net.Conn
	lines *lines
}

// SetDeadline sets no deadline later than the lines' limit from now; the zero
// time is none, as ever. pgx sets a later one only to say good-bye.
func (c *line) SetDeadline(t time.Time) error {
	if latest := time.Now().Add(c.lines.limit); t.After(latest) {
		t = latest
	}
	return c.conn.SetDeadline(t)
}

// Close closes the connection; closing it twice does no harm.
func (c *line) Close() error {
	c.lines.remove(c)
	return c.conn.Close()
}

// NetConn returns the socket, for alive.
func (c *line) NetConn() net.Conn { return c.conn }

func (c *line) Read(b []byte) (int, error)         { return c.conn.Read(b) }
func (c *line) Write(b []byte) (int, error)        { return c.conn.Write(b) }
func (c *line) LocalAddr() net.Addr                { return c.conn.LocalAddr() }
func (c *line) RemoteAddr() net.Addr               { return c.conn.RemoteAddr() }
func (c *line) SetReadDeadline(t time.Time) error  { return c.conn.SetReadDeadline(t) }
func (c *line) SetWriteDeadline(t time.Time) error { return c.conn.SetWriteDeadline(t) }
