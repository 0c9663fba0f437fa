package mysqlkv

import (
	"math"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultNamespace   = "holdfast"
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = time.Second
	// Servers allow 151 connections (max_connections) unless told otherwise:
	// four processes fit, with some room for their operators.
	defaultPoolSize = 32
	// The default of max_allowed_packet is 16 MiB in MariaDB and 64 MiB in
	// MySQL 8; a value travels in one packet with its key.
	defaultMaxValue = 15 << 20
	// The largest max_allowed_packet is 1 GiB.
	largestMaxValue = 1<<30 - packetRoom
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Namespace is the name of the table, "table" or "database.table", each
	// part a letter or underscore and at most 62 more letters, digits and
	// underscores; "" = "holdfast".
	Namespace string
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, negative = none,
	// but for the DSN's readTimeout and writeTimeout, a minute each. Open also
	// makes it, rounded up to seconds and a year at most, the time after which the
	// server itself gives up waiting for a lock; negative leaves that to the
	// server.
	Timeout time.Duration
	// DialTimeout is how long a new connection may take until it is ready for
	// use, TLS and login included; 0 = the DSN's timeout, or else 1s. New
	// ignores it.
	DialTimeout time.Duration
	// PoolSize is the number of connections at most; 0 = 32, about a fifth of
	// the 151 that a server allows by default. A call that finds all of them
	// taken waits, and is refused at the end of its ctx. New ignores it and
	// leaves the pool as it is.
	PoolSize int
	// MaxValue is the largest value in bytes; 0 = 15 MiB, which fits the least
	// default of max_allowed_packet, 16 MiB. A server that takes less refuses
	// the values between with resilient.ErrValueTooLarge.
	MaxValue int
	// RequireTLS makes Open fail unless the DSN asks for TLS with a verified
	// certificate: tls=true, or the name of a registered tls.Config that does
	// not skip verification. New always fails: a borrowed database does not
	// tell.
	RequireTLS bool
	// Canary makes every Health write a row of the library's own, which List
	// never shows.
	Canary bool
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultNamespace)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.PoolSize, defaultPoolSize)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("mysqlkv")
	f.TableName("Namespace", c.Namespace)
	f.NotNegative("DialTimeout", c.DialTimeout)
	f.AtMost("PoolSize", c.PoolSize, math.MaxInt32)
	f.AtMost("MaxValue", c.MaxValue, largestMaxValue)
	return f.Err()
}
