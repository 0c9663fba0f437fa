package etcdkv

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	maxKey = 512 // the contract's
	// A connection on which a call waits is looked at after the least time that
	// grpc allows, twice what a server allows by default
	// (--grpc-keepalive-min-time), and given up if nothing comes back in the
	// other.
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 3 * time.Second
	// A server that is back is seen within half a second. grpc would wait for
	// up to 2 minutes, and calls are refused meanwhile.
	minReconnect = 50 * time.Millisecond
	maxReconnect = 500 * time.Millisecond
)

// KV is a store in a part of an etcd cluster's keys. Make one with Open or New;
// all methods are safe for concurrent use.
type KV struct {
	cfg      Config // without the password
	client   *clientv3.Client
	user     *login // nil = none, or the client's own
	owned    bool
	prefix   string // of every key: the namespace and a slash
	kv       pb.KVClient
	leases   pb.LeaseClient
	gate     *guard.Gate
	closed   sync.Once
	closeErr error
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open returns a store on the cluster behind endpoints, each of which is
// host:port, http://host:port or https://host:port. It does no network I/O. Any
// endpoint may be down as long as one is up. Close closes the connections.
func Open(endpoints []string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), cfg.checkEndpoints(endpoints)); err != nil {
		return nil, err
	}
	dial := []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		Backoff: backoff.Config{
			BaseDelay:  minReconnect,
			Multiplier: backoff.DefaultConfig.Multiplier,
			Jitter:     backoff.DefaultConfig.Jitter,
			MaxDelay:   maxReconnect,
		},
		MinConnectTimeout: cfg.DialTimeout,
	})}
	var user *login
	if cfg.Username != "" {
		user = newLogin(cfg.Username, cfg.Password)
		dial = append(dial, grpc.WithPerRPCCredentials(user.bundle.PerRPCCredentials()))
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            slices.Clone(endpoints),
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		MaxUnaryRetries:      1, // tries, not retries; 0 is a hundred
		TLS:                  cfg.TLS,
		Logger:               zap.NewNop(), // its own writes to stderr
		DialOptions:          dial,
	})
	if err != nil {
		return nil, fmt.Errorf("etcdkv: %w", err)
	}
	kv := build(client, user, cfg)
	kv.owned = true
	return kv, nil
}

// New returns a store on client, which it borrows: Close leaves it open. Close
// the store before client. Several stores may share one client if their
// namespaces differ.
//
// The store uses the client's connection, not its KV: what the program has put
// in place of that does not apply. The client's own retries stay as they are;
// make it with MaxUnaryRetries 1, and with a short backoff between attempts to
// connect (grpc.WithConnectParams).
func New(client *clientv3.Client, cfg Config) (*KV, error) {
	if client == nil || client.ActiveConnection() == nil {
		return nil, errors.New("etcdkv: the client is nil or has no connection")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.RequireTLS {
		return nil, errors.New("etcdkv: Config.RequireTLS is set, and what a borrowed client verifies cannot be seen: use Open")
	}
	return build(client, nil, cfg), nil
}

func build(client *clientv3.Client, user *login, cfg Config) *KV {
	w := newWire(client, cfg.MaxValue)
	if user != nil {
		user.auth = pb.NewAuthClient(newWire(client, cfg.MaxValue))
		w.login = user
	}
	cfg.Password = "" // whoever prints a KV does not print it
	return &KV{
		cfg:    cfg,
		client: client,
		user:   user,
		prefix: cfg.Namespace + "/",
		kv:     pb.NewKVClient(w),
		leases: pb.NewLeaseClient(w),
		gate:   guard.NewGate(),
	}
}

// key returns what key is called in etcd.
func (k *KV) key(key string) []byte { return append([]byte(k.prefix), key...) }

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// Close refuses new calls, ends those in progress with resilient.ErrClosed,
// waits for them, and closes the client if Open made it. Further calls wait for
// the first and return its error.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		<-k.gate.Empty()
		if !k.owned {
			return
		}
		if err := k.client.Close(); err != nil {
			k.closeErr = fmt.Errorf("etcdkv: %w", err)
		}
	})
	return k.closeErr
}
