package consulkv

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	tokenHeader = "X-Consul-Token" //#nosec G101 -- the name of a header, not a token
	// policyHeader is in every answer of Consul's.
	policyHeader = "X-Consul-Default-Acl-Policy"
	// maxAnswer bounds what one answer may take of our memory: the keys of a
	// million entries, or a batch of 64 values of 512 KiB in base64.
	maxAnswer = 64 << 20
	// idleFor is what Go's own default transport has. Consul closes no idle
	// connection.
	idleFor = 90 * time.Second
)

// pool is the way of an opened store to its server. It sends what the driver
// has built, less what the driver took from the environment.
type pool struct {
	http  *http.Transport
	token guard.Secret
	limit int64 // of an answer, in bytes
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)

	closing context.Context
	end     context.CancelFunc
	dials   sync.WaitGroup // those in progress; mu orders Add and Wait

	mu struct {
		sync.Mutex
		closed bool
		conns  map[*conn]struct{} // open ones
	}
}

func newPool(cfg Config) *pool {
	p := &pool{
		token: guard.Hide(cfg.Token),
		limit: maxAnswer,
		dial:  (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext,
	}
	p.closing, p.end = context.WithCancel(context.Background())
	p.mu.conns = make(map[*conn]struct{})
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 has retries of its own
	p.http = &http.Transport{
		// No proxy: one from the environment would see the token.
		DialContext:         p.connect,
		TLSClientConfig:     &tls.Config{},
		TLSHandshakeTimeout: cfg.DialTimeout,
		MaxConnsPerHost:     cfg.PoolSize,
		MaxIdleConnsPerHost: cfg.PoolSize,
		IdleConnTimeout:     idleFor,
		DisableCompression:  true, // base64 of small values gains nothing
		Protocols:           &protocols,
	}
	if cfg.TLS != nil {
		p.http.TLSClientConfig = cfg.TLS.Clone()
	}
	return p
}

// RoundTrip sends req with the store's own token and without the tenancy that
// the driver reads from CONSUL_NAMESPACE and CONSUL_PARTITION. It bounds the
// answer, and takes none for one that is not Consul's: the driver would believe
// anybody's 200 to a write.
func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.WithContext(req.Context())
	sent.Header = req.Header.Clone()
	sent.Header.Del(tokenHeader)
	if token := p.token(); token != "" {
		sent.Header.Set(tokenHeader, token)
	}
	if strings.Contains(req.URL.RawQuery, "ns=") || strings.Contains(req.URL.RawQuery, "partition=") {
		u, query := *req.URL, req.URL.Query()
		query.Del("ns")
		query.Del("partition")
		u.RawQuery = query.Encode()
		sent.URL = &u
	}
	resp, err := p.http.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK && resp.Header.Get(policyHeader) == "" {
		_ = resp.Body.Close()
		return nil, errForeign
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, p.limit)
	return resp, nil
}

// connect dials, and remembers the connection for close. net/http goes on with a
// dial that nobody waits for any more; close ends it.
func (p *pool) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		return nil, resilient.ErrClosed
	}
	p.dials.Add(1)
	p.mu.Unlock()
	defer p.dials.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()
	raw, err := p.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, pool: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		_ = raw.Close()
		return nil, resilient.ErrClosed
	}
	p.mu.conns[c] = struct{}{}
	return c, nil
}

// refuse makes no more connections: a call that waits for one is not let in by
// another that Close has ended.
func (p *pool) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.closed = true
}

// close ends all dials and closes all connections; refuse was called before.
func (p *pool) close() {
	p.mu.Lock()
	open := make([]*conn, 0, len(p.mu.conns))
	for c := range p.mu.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	p.end()
	for _, c := range open {
		_ = c.Close()
	}
	p.dials.Wait()
	p.http.CloseIdleConnections()
}

// conn is a connection that its pool knows of until it is closed.
type conn struct {
	net.Conn
	pool *pool
}

func (c *conn) Close() error {
	c.pool.mu.Lock()
	delete(c.pool.mu.conns, c)
	c.pool.mu.Unlock()
	return c.Conn.Close()
}
