package network

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands between the clients of one store and its server.
type proxy struct {
	inner *toxiproxy.Proxy
	where string // the server
}

var proxies atomic.Uint32

// newProxy starts a proxy before the server at addr. stop ends it.
func newProxy(addr string) (*proxy, error) {
	// An address of its own: nobody takes the port while the proxy does not
	// listen.
	n := proxies.Add(1)
	p := &proxy{where: addr, inner: inner(fmt.Sprintf("127.1.%d.%d:0", n>>8&0xff, n&0xff), addr)}
	return p, p.inner.Start()
}

func inner(listen, upstream string) *toxiproxy.Proxy {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()) // listens nowhere itself
	return toxiproxy.NewProxy(server, "network", listen, upstream)
}

func (p *proxy) stop()        { p.inner.Stop() }
func (p *proxy) addr() string { return p.inner.Listen }

// toxic is one thing that a proxy does to what passes in one direction.
type toxic struct {
	Name   string         `json:"name"` // "" = after Type and Stream; no two of a proxy are the same
	Type   string         `json:"type"`
	Stream string         `json:"stream"`
	With   map[string]any `json:"attributes"`
	// Toxicity is the share of the connections that it is done to.
	Toxicity float64 `json:"toxicity"`
}

const (
	up   = "upstream"   // requests
	down = "downstream" // answers
)

// add begins with it, on live connections and on new ones.
func (p *proxy) add(t toxic) error {
	text, err := json.Marshal(t)
	if err == nil {
		_, err = p.inner.Toxics.AddToxicJson(strings.NewReader(string(text)))
	}
	return err
}

// heal ends all toxics.
func (p *proxy) heal() error {
	old, done := p.inner, make(chan struct{})
	go func() {
		defer close(done)
		old.Toxics.ResetToxics(context.Background())
	}()
	select {
	case <-done:
		return nil
	case <-time.After(2 * time.Second):
	}
	// Toxiproxy 2.12.0 waits for ever to take a toxic away that waits to pass on
	// what nobody takes: another proxy has to go on.
	go old.Stop()
	p.inner = inner(old.Listen, p.where)
	err := p.inner.Start()
	for began := time.Now(); err != nil && time.Since(began) < comfort; err = p.inner.Start() {
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// move lets the proxy go on at the same port before another server; "" = it
// refuses connections. All that there are end.
func (p *proxy) move(upstream string) error {
	p.inner.Stop()
	if upstream == "" {
		return nil
	}
	p.inner.Upstream = upstream
	if err := p.inner.Start(); err != nil {
		return fmt.Errorf("the proxy's port: %w", err)
	}
	return nil
}
