package postgreskv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// maxKey is the longest key of the contract. PostgreSQL's index takes about
// 2700 bytes.
const maxKey = 512

// leave is how long Close lets pgx cancel the statements that it has ended.
const leave = 250 * time.Millisecond

// leaveEvery is how often a server that is and stays read-only costs new
// connections.
const leaveEvery = time.Second

// KV is a store in one table of a PostgreSQL database. Make one with Open or
// New; all methods are safe for concurrent use.
type KV struct {
	pool   *pgxpool.Pool
	lines  *lines // nil = the pool is borrowed
	hooked bool   // the pool's owner may change the settings of each connection
	cfg    Config
	sql    statements
	gate   *guard.Gate
	met    atomic.Bool // the table has been seen

	// left is when the pool's connections were last given up for a server that is
	// read-only, in nanoseconds of Unix time; 0 = never.
	left atomic.Int64

	closed sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// do runs fn on a connection, and again if it found no table and this store has
// never seen one: then it makes the table. writes tells whether fn changes
// something, for its error.
func (k *KV) do(ctx context.Context, writes bool, fn func(*pgx.Conn) error) error {
	c, err := k.acquire(ctx)
	if err != nil {
		return explain(ctx, resilient.Refused, writes, err)
	}
	defer c.Release()
	// Looked at before fn: a table that is made or dropped meanwhile is not held
	// against it.
	met := k.met.Load()
	err = fn(c.Conn())
	if !met && hasState(err, undefinedTable) {
		if err = k.create(ctx, c.Conn()); err == nil {
			err = fn(c.Conn())
		}
	}
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		if !met {
			k.met.Store(true)
		}
		return err
	}
	k.abandon(err)
	return explain(ctx, classOf(err), writes, err)
}

// abandon gives up the connections of Open's pool, at most once in leaveEvery, if
// err says that the server is read-only: it may be the old primary, and the name
// in the URL point to the new one by now, of which connections that stand would
// not learn until pgx ends them. Those in use are closed when they are given back.
func (k *KV) abandon(err error) {
	if k.lines == nil || !hasState(err, readOnly) {
		return
	}
	now, left := time.Now().UnixNano(), k.left.Load()
	if now-left < int64(leaveEvery) || !k.left.CompareAndSwap(left, now) {
		return
	}
	k.pool.Reset()
}

// acquire takes a connection out of the pool that is not closed already, and
// that may be used.
func (k *KV) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	for dead := int32(0); ; dead++ {
		c, err := k.pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if alive(c.Conn().PgConn().Conn()) {
			if err := k.inspect(c.Conn()); err != nil {
				c.Release()
				return nil, err
			}
			return c, nil
		}
		_ = c.Conn().Close(ctx) // nobody is there to take leave of
		c.Release()
		if dead == k.pool.Stat().MaxConns() {
			return nil, errHungUp
		}
	}
}

// inspect returns why a connection must not be used that the pool's BeforeConnect
// had a hand in. It remembers which it has seen.
func (k *KV) inspect(c *pgx.Conn) error {
	if !k.hooked {
		return nil
	}
	mark := fmt.Sprintf("holdfast: seen, RequireTLS %t", k.cfg.RequireTLS)
	seen := c.PgConn().CustomData()
	if seen[mark] != nil {
		return nil
	}
	if err := check(c.Config(), k.cfg); err != nil {
		return err
	}
	seen[mark] = true
	return nil
}

// create makes the table. Of those who do that at the same time one succeeds;
// the others find it there, or that one of its names is taken.
func (k *KV) create(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, k.sql.create)
	if hasState(err, uniqueViolation) || hasState(err, duplicateTable) || hasState(err, duplicateObject) {
		return nil
	}
	return err
}

// Close refuses new calls, ends those in flight with resilient.ErrClosed (and
// resilient.ErrAmbiguous if a write may have been sent) and waits for their
// return. Connections that Open's pool made are closed; those that do not take
// their leave within 250 ms are cut off. Further calls wait for the first.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		<-k.gate.Empty()
		if k.lines == nil {
			return
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.pool.Close()
		}()
		patience := time.NewTimer(leave)
		defer patience.Stop()
		select {
		case <-done:
		case <-patience.C:
		}
		k.lines.cut()
		<-done
	})
	return nil
}
