package badgerkv

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

const (
	defaultNamespace  = "holdfast"
	defaultMaxValue   = 16 << 20
	defaultGCInterval = 5 * time.Minute
	maxNamespace      = 255
	leastFree         = 256 << 20

	// What Open sets in place of badger's 64 MiB x 5 and 256 MiB: a store
	// behind a resilience layer is rarely the only thing in its process.
	memTableSize   = 16 << 20
	numMemtables   = 3
	blockCacheSize = 32 << 20
	// badger maps twice this much, sparse, at once; a smaller file is also what
	// garbage collection can give back.
	valueLogFileSize = 128 << 20
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Namespace keeps the keys of several stores in one database apart, of any
	// names; "" = "holdfast", at most 255 bytes of UTF-8.
	Namespace string
	// MinFree is how many bytes the disk must keep free: below it writes are
	// refused, Open fails and Health fails, because badger does not survive a
	// full disk. 0 = 256 MiB, or room for one memtable more than badger keeps in
	// memory if that is larger: what may be flushed while no write is let in.
	// Negative = no floor, at the risk of the process.
	MinFree int64
	// MaxValue is the largest value in bytes; 0 = 16 MiB. What the database
	// itself allows (128 MiB with Open) bounds it.
	MaxValue int
	// NoSync leaves out the msync of each commit. An acknowledged write then
	// survives a crash of the process but not one of the machine. New ignores
	// it and leaves the database as it is.
	NoSync bool
	// GCInterval is the pause between two garbage collections of the value log;
	// negative = none. 0 = 5m with Open, none with New, whose database may have
	// an owner that collects already.
	GCInterval time.Duration
	// AnyMode accepts an existing directory that group or others may enter. The
	// files that badger makes in it are readable by everyone who can.
	AnyMode bool
	// Canary makes every Health write a key of the library's own, outside of
	// every namespace, which proves that writes reach the disk. The key ends by
	// itself after a minute.
	Canary bool
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxValue
	}
	return c
}

// validate reports every fault of c at once.
func (c Config) validate() error {
	var faults []error
	if len(c.Namespace) > maxNamespace {
		faults = append(faults, fmt.Errorf("badgerkv: Config.Namespace has %d bytes, must be at most %d", len(c.Namespace), maxNamespace))
	}
	if !utf8.ValidString(c.Namespace) {
		faults = append(faults, errors.New("badgerkv: Config.Namespace is not valid UTF-8"))
	}
	if c.MaxValue < 0 {
		faults = append(faults, fmt.Errorf("badgerkv: Config.MaxValue is %d, must not be negative", c.MaxValue))
	}
	return errors.Join(faults...)
}

// floor returns the free space to keep for a database that holds memtables
// tables of size bytes in memory.
func (c Config) floor(memtables int, size int64) int64 {
	if c.MinFree != 0 {
		return c.MinFree
	}
	return max(leastFree, int64(memtables+1)*size)
}
