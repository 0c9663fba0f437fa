package mysqlkv

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const storeName = "mysqlkv"

// KV is a store in one table. Make one with Open or New; all methods are safe
// for concurrent use.
type KV struct {
	db    *sql.DB
	conns *connector // makes them; nil = the pool is a borrowed one
	cfg   Config
	gate  *guard.Gate
	free  chan struct{} // holds one token for each connection in use; nil = the pool is a borrowed one
	sql   statements

	// packet is the server's max_allowed_packet; 0 before the first contact,
	// which is also when the table is made.
	packet atomic.Int64

	// left is when the pool's connections were last given up for a server that is
	// read-only, in nanoseconds of Unix time; 0 = never.
	left atomic.Int64

	page   int // keys that List asks for at once
	closed sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open returns a store in a table of the server that dsn names, in the form of
// the driver: user:password@tcp(host:port)/database?option=value. It does no
// network I/O: the first call connects, and makes the table if it is not there.
// See the package's documentation for what is set on the driver, whatever dsn
// says. Its errors hold nothing of dsn. Close closes the connections.
func Open(dsn string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c, err := parse(dsn, cfg)
	if err != nil {
		return nil, err
	}
	conns, err := newConnector(c, cfg)
	if err != nil {
		return nil, err
	}
	kv := build(openPool(conns, cfg.PoolSize), cfg)
	kv.conns, kv.free = conns, make(chan struct{}, cfg.PoolSize)
	return kv, nil
}

// New returns a store in a table of db, which it borrows: Close leaves it open.
// Close the store before db. What Open sets on the driver, the pool and the
// session is db's owner's to set; the first contact refuses a db whose session
// would lose or change what is stored (see the package's documentation).
func New(db *sql.DB, cfg Config) (*KV, error) {
	if db == nil {
		return nil, errors.New("mysqlkv: the database is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.RequireTLS {
		return nil, errors.New("mysqlkv: Config.RequireTLS is set, and a borrowed database does not tell whether it uses TLS; use Open")
	}
	return build(db, cfg), nil
}

func build(db *sql.DB, cfg Config) *KV {
	return &KV{db: db, cfg: cfg, gate: guard.NewGate(), sql: newStatements(cfg.Namespace), page: listPage}
}

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// call runs fn, a read or a write at the server, with a ctx that ends in time,
// and explains its error.
func (k *KV) call(ctx context.Context, writes bool, fn func(ctx context.Context) error) error {
	release, err := k.acquire(ctx)
	if err == nil {
		defer release()
		err = fn(ctx)
		k.abandon(err)
	}
	if err == nil || err == resilient.ErrNotFound || err == resilient.ErrValueTooLarge {
		return err
	}
	return guard.Explain(storeName, ctx, classify(err), writes, printable(err))
}

// abandon gives up the pool's connections, at most once a second, if err says
// that the server is read-only: it may be the old primary under a name that
// points to the new one by now, and a connection would stay with it until
// maxLifetime has passed. Those that are idle are closed, those in use when they
// are given back.
func (k *KV) abandon(err error) {
	var server *mysql.MySQLError
	if k.conns == nil || !errors.As(err, &server) || !readOnly[server.Number] {
		return
	}
	now, left := time.Now().UnixNano(), k.left.Load()
	if now-left < int64(leaveEvery) || !k.left.CompareAndSwap(left, now) {
		return
	}
	k.conns.eras.Add(1)
	k.db.SetMaxIdleConns(0)
	k.db.SetMaxIdleConns(k.cfg.PoolSize)
}

// acquire waits for one of the pool's connections. database/sql would wait too,
// but not tell afterwards that nothing was sent.
func (k *KV) acquire(ctx context.Context) (release func(), err error) {
	if k.free == nil {
		return func() {}, nil
	}
	select {
	case k.free <- struct{}{}:
		return func() { <-k.free }, nil
	case <-ctx.Done():
		return nil, errNoFree
	}
}

// enter is how every call begins: the store must be open and ctx not ended.
func (k *KV) enter(ctx context.Context) (call context.Context, leave func(), err error) {
	return k.gate.Inside(ctx, max(0, k.cfg.Timeout))
}

// Close refuses new calls, ends those in flight, which then match
// resilient.ErrClosed, waits for them, and closes the connections if Open made
// them. It returns nil; further calls wait for the first.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		<-k.gate.Empty()
		if k.conns != nil {
			// Its error tells of connections on which saying goodbye failed.
			_ = k.db.Close()
			return
		}
		k.sql.close()
	})
	return nil
}

// quote returns the namespace, which has been checked, as SQL names a table.
func quote(namespace string) string {
	return "`" + strings.ReplaceAll(namespace, ".", "`.`") + "`"
}
