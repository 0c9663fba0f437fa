package rediskv

import (
	"math"
	"regexp"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultNamespace   = "holdfast"
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = time.Second
	// Redis serves all its clients from one thread, about 100,000 commands a
	// second; at a round trip of half a millisecond 50 connections keep it busy.
	defaultPoolSize = 64
	defaultMaxValue = 16 << 20
	// The largest bulk string that Redis takes while proto-max-bulk-len is as it
	// comes.
	largestValue = 512 << 20
	maxKey       = 512
	// A call waits this long for a connection or a place, as long as a
	// connection may take to be made.
	poolTimeout = time.Second
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Namespace begins the name of every key, with a colon after it; "" =
	// "holdfast". It is 1 to 64 letters, digits, dots, underscores and hyphens
	// of ASCII: nothing that a glob, a cluster's hash tag or the colon itself
	// could be taken for.
	Namespace string
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, what the client
	// itself gives a read; negative = none.
	Timeout time.Duration
	// DialTimeout bounds the making of a connection, TLS included; 0 = 1s. New
	// ignores it.
	DialTimeout time.Duration
	// PoolSize is how many connections Open's store makes at most, and how many
	// calls at New's client may be under way or left behind at once; one more
	// waits up to 1 s and is then refused. 0 = 64: what keeps a server's one
	// thread busy, which does about 100,000 commands a second, at a round trip
	// of half a millisecond.
	PoolSize int
	// MaxValue is the largest value in bytes; 0 = 16 MiB, at most 512 MiB. A
	// server whose proto-max-bulk-len is less refuses what is over that.
	MaxValue int
	// RequireTLS makes Open and New fail if a connection could be plaintext or
	// its server unverified. New fails with a client that has a Dialer or a
	// NewClient of its owner's, as one of Sentinel has: what that does with the
	// TLSConfig cannot be seen.
	RequireTLS bool
	// Canary makes every Health write a key of the library's own, read it back
	// and delete it; it expires after 10 s if that is cut short, and List never
	// shows it.
	Canary bool
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultNamespace)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.DialTimeout, defaultDialTimeout)
	guard.Default(&c.PoolSize, defaultPoolSize)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

var namespaces = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("rediskv")
	if !namespaces.MatchString(c.Namespace) {
		f.Add("Namespace must be 1 to 64 letters, digits, dots, underscores and hyphens")
	}
	f.NotNegative("DialTimeout", c.DialTimeout)
	f.AtMost("PoolSize", c.PoolSize, math.MaxInt32)
	f.AtMost("MaxValue", c.MaxValue, largestValue)
	return f.Err()
}
