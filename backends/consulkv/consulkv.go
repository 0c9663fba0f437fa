package consulkv

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// KV is a store in one folder of Consul's key-value store. Make one with Open or
// New; all methods are safe for concurrent use.
type KV struct {
	cfg    Config // without the token
	token  guard.Secret
	keys   keyspace
	client *api.Client
	pool   *pool // nil = the client is borrowed
	gate   *guard.Gate
	closed sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open returns a store on the Consul agent at addr: host:port,
// http://host:port or https://host:port. It does no network I/O and reads
// nothing from the environment. No error shows addr.
func Open(addr string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	scheme, host, err := address(addr, cfg)
	if err != nil {
		return nil, err
	}
	p := newPool(cfg)
	client, err := api.NewClient(&api.Config{
		Address: host,
		Scheme:  scheme,
		// NewClient takes an empty token, and one that equals CONSUL_HTTP_TOKEN,
		// for leave to look for others in the environment. The pool sends the
		// store's own instead of this.
		Token: os.Getenv(api.HTTPTokenEnvName) + "-",
		HttpClient: &http.Client{
			Transport: p,
			// Consul answers a path that it would change with a redirect, which
			// turns a write into a read or leads to another endpoint.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("consulkv: %w", &fault{text: "the driver refuses the configuration", err: err})
	}
	return build(client, p, cfg), nil
}

// New returns a store on client, which it borrows: its address, token, TLS,
// transport, headers and Enterprise tenancy are used as they are, and Close
// leaves it open. What New cannot see it cannot mend: a client that follows
// redirects is found out only after it has done so, and the error then matches
// resilient.ErrAmbiguous; one without a bound on its answers has none. New
// refuses a client whose headers make net/http send a write twice.
func New(client *api.Client, cfg Config) (*KV, error) {
	if client == nil {
		return nil, errors.New("consulkv: the client is nil")
	}
	cfg = cfg.withDefaults()
	faults := []error{cfg.validate()}
	if cfg.RequireTLS {
		faults = append(faults, errors.New("consulkv: Config.RequireTLS is set, and a client does not tell whether it uses TLS: use Open"))
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if len(client.Headers().Values(name)) > 0 {
			faults = append(faults, fmt.Errorf("consulkv: the client has the header %s, with which net/http repeats writes", name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return build(client, nil, cfg), nil
}

func build(client *api.Client, p *pool, cfg Config) *KV {
	token := guard.Hide(cfg.Token)
	cfg.Token = "" // whoever prints what holds a KV does not print it
	return &KV{
		cfg:    cfg,
		token:  token,
		keys:   keyspace(cfg.Namespace + "/"),
		client: client,
		pool:   p,
		gate:   guard.NewGate(),
	}
}

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// Close refuses new calls, ends those in flight with resilient.ErrClosed, and
// resilient.ErrAmbiguous for a write that may have been sent, waits until they
// have returned, and closes every connection that the store has made. It
// returns nil. A borrowed client stays open.
func (k *KV) Close() error {
	k.closed.Do(func() {
		if k.pool != nil {
			k.pool.refuse()
		}
		k.gate.Shut()
		// Their contexts end the calls; connections that were closed before would
		// end them with errors that do not say why.
		<-k.gate.Empty()
		if k.pool != nil {
			k.pool.close()
		}
	})
	return nil
}

// Format writes what of the store is fit to be seen, whatever the verb.
func (k *KV) Format(f fmt.State, _ rune) {
	cfg := k.cfg
	cfg.Token = k.token() // Config says whether it is set
	fmt.Fprintf(f, "consulkv.KV%v", cfg)
}
