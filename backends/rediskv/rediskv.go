package rediskv

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// KV is a store in the keys of a Redis that begin with its namespace. Make one
// with Open or New; all methods are safe for concurrent use.
type KV struct {
	cfg    Config
	prefix string // of every key: the namespace and a colon
	gate   *guard.Gate
	via    runner
	closed sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// runner makes calls at a client, and lets them go when their ctx ends or the
// gate is shut.
type runner interface {
	// enter lets a call in through the gate; a nil error is followed by leave.
	// limit bounds the call if ctx has no deadline; 0 or less is none.
	enter(ctx context.Context, limit time.Duration) (call context.Context, leave func(), err error)
	// run calls do and returns what it returned, or, once the call is over, an
	// error without waiting for what does not end with it. What do has set may
	// be read only if the error is nil.
	run(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) error
	// leaves reports whether do may go on after run has returned: what it uses
	// must then be its own.
	leaves() bool
	// shut ends the calls in progress. The gate is shut.
	shut()
	// close ends what is left and gives back what the runner has opened. Nobody
	// is in run any more.
	close()
}

// Open returns a store on the one server that url names, in the form that
// redis.ParseURL takes: redis://user:password@host:port/db, rediss:// for TLS,
// unix:// for a socket. It does no network I/O. What url says of retries,
// timeouts, the pool and the protocol is replaced by what the package sets;
// cfg says the rest.
func Open(url string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	opts, err := options(url, cfg)
	if err != nil {
		return nil, err
	}
	gate := guard.NewGate()
	return build(cfg, gate, newLanes(gate, opts, cfg)), nil
}

// New returns a store on client, which it borrows: Close leaves it open. client
// is a *redis.Client, of one server or of Sentinel, or a *redis.ClusterClient;
// what package rediskv says of its settings must hold. One of another type
// cannot be checked and must do as they do.
//
// The client cannot be interrupted: a call whose ctx ends is left behind, and
// ends by the client's own timeout. Close waits for those.
func New(client redis.UniversalClient, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	repeats, err := checkClient(client, cfg.RequireTLS)
	if err != nil {
		return nil, err
	}
	gate := guard.NewGate()
	return build(cfg, gate, newBorrowed(gate, client, cfg.PoolSize, repeats)), nil
}

func build(cfg Config, gate *guard.Gate, via runner) *KV {
	return &KV{cfg: cfg, prefix: cfg.Namespace + ":", gate: gate, via: via}
}

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// Close refuses new calls and ends those in progress, which return
// resilient.ErrClosed; it closes the connections that Open's store has made.
// With a borrowed client it waits for the calls that are left behind, at most
// as long as the client's own timeouts let them go on. It returns nil.
func (k *KV) Close() error {
	if k.gate.Shut() {
		k.via.shut()
	}
	<-k.gate.Empty()
	k.closed.Do(k.via.close)
	return nil
}

// call makes one call, and explains its error.
func (k *KV) call(ctx context.Context, writes bool, do func(ctx context.Context, c redis.UniversalClient) error) error {
	err := k.via.run(ctx, do)
	if err == nil {
		return nil
	}
	return k.explain(ctx, writes, judge(err))
}

// explain makes of j what the caller gets.
func (k *KV) explain(ctx context.Context, writes bool, j *judged) error {
	select {
	case <-k.gate.IsShut():
		closed, end := context.WithCancelCause(ctx)
		end(resilient.ErrClosed)
		ctx = closed
	default:
	}
	return guard.Explain("rediskv", ctx, j.class, writes, j)
}

// enter lets a call in; a nil error is followed by leave.
func (k *KV) enter(ctx context.Context) (call context.Context, leave func(), err error) {
	return k.via.enter(ctx, k.cfg.Timeout)
}

// own returns value, or a copy where the driver may go on after the caller has
// left.
func (k *KV) own(value []byte) []byte {
	if !k.via.leaves() {
		return value
	}
	return append([]byte{}, value...)
}
