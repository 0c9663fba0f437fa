package postgreskv

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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
	// has left is not applied much later. What the URL sets stays. 0 = 10s,
	// negative = the server's own. New ignores it.
	StatementTimeout time.Duration
	// LockTimeout ends a statement that waits so long for a lock (lock_timeout);
	// it is then known not to be applied. What the URL sets stays. 0 = 1.5s,
	// negative = the server's own. New ignores it.
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
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	orDefault(&c.Timeout, defaultTimeout)
	orDefault(&c.DialTimeout, defaultDialTimeout)
	orDefault(&c.StatementTimeout, defaultStatementTimeout)
	orDefault(&c.LockTimeout, defaultLockTimeout)
	orDefault(&c.MaxValue, defaultMaxValue)
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// name is one part of Config.Namespace; PostgreSQL cuts longer ones off.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// validate reports every fault of c at once.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("postgreskv: Config."+format, args...))
	}
	parts := strings.Split(c.Namespace, ".")
	for _, part := range parts {
		if len(parts) > 2 || !name.MatchString(part) {
			fault("Namespace is %q, must be a table or schema.table, of letters, digits and _, 63 at most each", c.Namespace)
			break
		}
	}
	if c.DialTimeout < 0 {
		fault("DialTimeout is %v, must not be negative", c.DialTimeout)
	}
	if c.PoolSize < 0 || c.PoolSize > 1<<18-1 {
		fault("PoolSize is %d, must be in 0 to 262143, PostgreSQL's limit of max_connections", c.PoolSize)
	}
	if c.MaxValue < 0 || c.MaxValue > maxMaxValue {
		fault("MaxValue is %d, must be in 0 to %d", c.MaxValue, maxMaxValue)
	}
	return errors.Join(faults...)
}

// table returns the quoted name of the table.
func (c Config) table() string { return pgx.Identifier(strings.Split(c.Namespace, ".")).Sanitize() }
