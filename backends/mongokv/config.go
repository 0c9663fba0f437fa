package mongokv

import (
	"regexp"
	"time"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	defaultName        = "holdfast" // of the database and of the collection
	defaultTimeout     = 5 * time.Second
	defaultDialTimeout = time.Second
	// The driver's own default.
	defaultPoolSize = 100
	// Keeps what a command says beside keys and values, 70 bytes for each, far
	// below the 8 MiB that these may have.
	defaultBatchKeys = 1000
	// MongoDB takes 100,000 updates in one command. What is said beside the 8
	// MiB of keys and values stays below 1 MiB.
	largestBatchKeys = 10000
	// MongoDB takes documents of 16 MiB, and a command that carries one may
	// have 16 KiB more. 1 MiB of room also serves proxies that count what they
	// add.
	defaultMaxValue = 15 << 20
	// Beside its value a document has the key, the names of two fields and
	// some lengths: 540 bytes with the longest key.
	largestMaxValue = 16<<20 - 1<<10
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Database is the name of the database: a letter or underscore and at most
	// 62 more letters, digits, underscores and hyphens; "" = the one that the
	// URI names, or else "holdfast".
	Database string
	// Namespace is the name of the collection, of the same characters; "" =
	// "holdfast".
	Namespace string
	// Timeout bounds a call whose ctx has no deadline; 0 = 5s, negative = none.
	Timeout time.Duration
	// DialTimeout is how long a new connection may take to be made, TLS
	// included, and how long a call waits for a server that it can use and for
	// a free connection to it; 0 = what the URI says (connectTimeoutMS and
	// serverSelectionTimeoutMS), or else 1s. New ignores it.
	DialTimeout time.Duration
	// PoolSize is the number of connections to one server at most; 0 = what the
	// URI says (maxPoolSize), or else 100, the driver's own default. A call
	// that finds all of them taken waits for DialTimeout, and is refused then.
	// New ignores it.
	PoolSize int
	// BatchKeys is how many keys one command of a BatchSetRaw stores at most; 0 =
	// 1000, at most 10,000. FerretDB 1.x needs 8 or so (see the package's
	// comment).
	BatchKeys int
	// MaxValue is the largest value in bytes; 0 = 15 MiB, at most 16 MiB - 1
	// KiB, which is MongoDB's limit for a document less what else is in it.
	MaxValue int
	// RequireTLS makes Open fail unless the URI asks for TLS with a verified
	// certificate (tls=true, and none of the options that skip verification).
	// New always fails: a borrowed client does not tell.
	RequireTLS bool
	// Canary makes every Health write a document of the library's own, which
	// List never shows.
	Canary bool
}

func (c Config) withDefaults() Config {
	guard.Default(&c.Namespace, defaultName)
	guard.Default(&c.Timeout, defaultTimeout)
	guard.Default(&c.BatchKeys, defaultBatchKeys)
	guard.Default(&c.MaxValue, defaultMaxValue)
	return c
}

// name is what a database and a collection may be called. MongoDB allows more;
// what it forbids in one of them, or gives a meaning ("system." and "$"), is not
// in here. Its limit for a database is 63 bytes.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

const nameRule = "a letter or underscore and at most 62 letters, digits, underscores and hyphens"

// validate reports every fault of c at once.
func (c Config) validate() error {
	f := guard.NewFaults("mongokv")
	if c.Database != "" && !name.MatchString(c.Database) {
		f.Add("Database is not " + nameRule)
	}
	if !name.MatchString(c.Namespace) {
		f.Add("Namespace is not " + nameRule)
	}
	f.NotNegative("DialTimeout", c.DialTimeout)
	if c.PoolSize < 0 {
		f.Add("PoolSize is %d, must not be negative", c.PoolSize)
	}
	f.AtMost("BatchKeys", c.BatchKeys, largestBatchKeys)
	f.AtMost("MaxValue", c.MaxValue, largestMaxValue)
	return f.Err()
}
