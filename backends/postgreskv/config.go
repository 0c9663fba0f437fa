package postgreskv

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultNamespace        = "holdfast"
	defaultTimeout          = 5 * time.Second
	defaultDialTimeout      = time.Second
	defaultStatementTimeout = 10 * time.Second
	// More than PostgreSQL's deadlock_timeout of 1s, so that a deadlock is told as
	// one; less than the 2s that a resilient.Store gives an attempt, so that a
	// write which waits for a lock ends with an answer and not in doubt.
	defaultLockTimeout = 1500 * time.Millisecond
	// PostgreSQL takes 100 connections unless told otherwise (max_connections) and
	// keeps 3 of them for superusers: twelve processes fit.
	defaultPoolSize = 8
	// Far above any value that a key-value store should hold, far below the
	// server's limit; a value is in memory three times on its way.
	defaultMaxValue = 16 << 20
	// Half of the 1 GiB - 1 to which PostgreSQL limits a field and a message.
	maxMaxValue = 512 << 20
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Namespace is the name of the table, or "schema.table": each part a letter
	// or _ and up to 62 letters, digits or _. It is quoted, so upper case counts.
	// "" = "holdfast", in the first schema of the user's search_path.
	Namespace string
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, negative = none.
	Timeout time.Duration
	// DialTimeout bounds everything about a connection but its use, each time:
	// dialling a host and logging in, proving that an idle one is alive, taking
	// leave of one whose call was ended. 0 = 1s. New ignores it.
	DialTimeout time.Duration
	// PoolSize is the largest number of connections; 0 = pool_max_conns of the
	// URL, else 8: twelve such processes fit a server with its default of 100
	// connections. New ignores it.
	PoolSize int
	// StatementTimeout ends a statement on the server (statement_timeout, and
	// idle_in_transaction_session_timeout for batches), so that one whose caller
	// has left is not applied much later. What the URL sets stays. 0 = 10s, more
	// than the server's most, 24.8 days, is that; negative = the server's own.
	// New ignores it.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits so long for a lock (lock_timeout);
	// it is then known not to be applied. What the URL sets stays. 0 = 1.5s; what
	// StatementTimeout says of long and negative ones holds here too. New ignores
	// it.
	LockTimeout time.Duration
	// MaxValue is the largest value in bytes; 0 = 16 MiB, at most 512 MiB, half of
	// what PostgreSQL allows a field.
	MaxValue int
	// RequireTLS makes Open and New fail if a connection could be plaintext or to
	// a server whose certificate is not verified: sslmode must be verify-ca or
	// verify-full.
	RequireTLS bool
	// Canary makes every Health write a row of the library's own, of 4 KiB, which
	// no other call shows: only a write finds a full disk.
	Canary bool
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultNamespace)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.DialTimeout, defaultDialTimeout)
	guard.Default(&c.StatementTimeout, defaultStatementTimeout)
	guard.Default(&c.LockTimeout, defaultLockTimeout)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

// maxPoolSize is PostgreSQL's own limit of max_connections.
const maxPoolSize = 1<<18 - 1

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("postgreskv")
	f.TableName("Namespace", c.Namespace)
	f.NotNegative("DialTimeout", c.DialTimeout)
	f.AtMost("PoolSize", c.PoolSize, maxPoolSize)
	f.AtMost("MaxValue", c.MaxValue, maxMaxValue)
	return f.Err()
}

// table returns the quoted name of the table.
func (c Config) table() string { return pgx.Identifier(strings.Split(c.Namespace, ".")).Sanitize() }
