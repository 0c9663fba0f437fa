package mongokv

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// maxKey is the longest key of the contract; MongoDB itself has no limit but
// the document's.
const maxKey = 512

// KV is a store in one collection of a MongoDB. Make one with Open or New; all
// methods are safe for concurrent use.
type KV struct {
	client   *mongo.Client
	db       *mongo.Database
	owned    bool
	cfg      Config
	gate     *guard.Gate
	met      atomic.Bool // the collection was seen, and is fit
	closeErr error
	closed   sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open returns a store at uri (mongodb://user:password@host:port/database),
// which it connects to in the background: it works while the server is down.
// Only a mongodb+srv URI is looked up in the DNS before Open returns, by the
// driver, with the resolver's own timeout. Close closes all connections. An
// error holds nothing of uri.
func Open(uri string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	opts, database, err := clientOptions(uri, cfg)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, errors.New("mongokv: the driver refuses the URI's options")
	}
	kv := build(client, database, cfg)
	kv.owned = true
	return kv, nil
}

// New returns a store at client, which it borrows: Close leaves it connected.
// Close the store before client. The client's retries, concerns and read
// preference have no effect on the store (see the package's comment); its
// timeouts, pool and TLS are what they are.
func New(client *mongo.Client, cfg Config) (*KV, error) {
	if client == nil {
		return nil, errors.New("mongokv: the client is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.RequireTLS {
		return nil, errors.New("mongokv: Config.RequireTLS is set, and a borrowed client does not tell whether it uses TLS")
	}
	database := cfg.Database
	if database == "" {
		database = defaultName
	}
	return build(client, database, cfg), nil
}

func build(client *mongo.Client, database string, cfg Config) *KV {
	// A borrowed client may turn strings into something else.
	plain := options.Database().SetRegistry(bson.NewRegistry()).SetBSONOptions(&options.BSONOptions{})
	return &KV{client: client, db: client.Database(database, plain), cfg: cfg, gate: guard.NewGate()}
}

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// enter is how every call begins: the store must be open and ctx not ended. A
// nil error is followed by leave.
func (k *KV) enter(ctx context.Context) (call context.Context, leave func(), err error) {
	if mongo.SessionFromContext(ctx) != nil {
		// What belongs to a transaction of the caller's is undone with it.
		ctx = mongo.NewSessionContext(ctx, nil)
	}
	return k.gate.Inside(ctx, k.cfg.Timeout)
}

// run sends one command to the primary, after the first contact, and returns the
// answer. Commands that are given like this carry their own concerns and are
// never sent twice, whatever the client's settings are.
func (k *KV) run(ctx context.Context, command bson.D) (bson.Raw, error) {
	if err := k.meet(ctx); err != nil {
		return nil, err
	}
	return k.db.RunCommand(ctx, command).Raw()
}

// Close refuses new calls, ends those in flight, waits until they have
// returned, and closes the client if Open made it. A call that it ends returns
// an error that matches resilient.ErrClosed, and resilient.ErrAmbiguous too if
// it is a write that may have been sent. Further calls of Close wait for the
// first and return its error. With a mongodb+srv URI it may have to wait for a
// look-up in the DNS that is under way.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		<-k.gate.Empty()
		if k.owned {
			k.closeErr = disconnect(k.client)
		}
	})
	return k.closeErr
}
