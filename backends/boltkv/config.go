package boltkv

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

const (
	defaultNamespace   = "holdfast"
	defaultLockTimeout = time.Second
	defaultMaxValue    = 16 << 20
	// bbolt grows its file in steps of 16 MiB (bbolt.DefaultAllocSize's value
	// in v1.5.0); two of them leave room for a step and for the copies of pages
	// that the commits until the next check make.
	defaultMinFree = 2 * 16 << 20
)

// Config is what Open and New take; the zero Config works.
type Config struct {
	// Namespace is the name of the top-level bucket; "" = "holdfast".
	Namespace string
	// LockTimeout is how long Open waits for the lock of a file that somebody
	// else has open; 0 = 1s, negative = one try. New ignores it.
	LockTimeout time.Duration
	// MinFree is how many bytes the disk must keep free: below it writes are
	// refused and Health fails. 0 = 32 MiB, two of the steps by which bbolt
	// grows its file; negative = no floor.
	MinFree int64
	// MaxValue is the largest value in bytes; 0 = 16 MiB, at most bbolt's own
	// limit of 2 GiB - 2.
	MaxValue int
	// ReadOnly opens the file under a shared lock: every write is refused and
	// Health says so. New ignores it and asks the database.
	ReadOnly bool
	// NoSync leaves out the two fdatasync calls of each commit. An acknowledged
	// write then survives a crash of the process but not one of the machine,
	// which may also leave a file that cannot be opened any more. New ignores
	// it and leaves the database as it is.
	NoSync bool
	// Canary makes every Health commit an empty transaction, which proves that
	// writes reach the disk and leaves no key behind.
	Canary bool
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = defaultNamespace
	}
	switch {
	case c.LockTimeout == 0:
		c.LockTimeout = defaultLockTimeout
	case c.LockTimeout < 0:
		// bbolt takes 0 for "wait for ever" and gives up after the first try
		// when less than its retry pause of 50 ms is left.
		c.LockTimeout = 1
	}
	if c.MinFree == 0 {
		c.MinFree = defaultMinFree
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxValue
	}
	return c
}

// validate reports every fault of c at once.
func (c Config) validate() error {
	var faults []error
	if len(c.Namespace) > bbolt.MaxKeySize {
		faults = append(faults, fmt.Errorf("boltkv: Config.Namespace has %d bytes, bbolt allows %d", len(c.Namespace), bbolt.MaxKeySize))
	}
	if c.Namespace == string(journalBucket) {
		faults = append(faults, errors.New("boltkv: Config.Namespace is the name by which a journal of package boltjournal is known"))
	}
	if c.MaxValue < 0 || c.MaxValue > bbolt.MaxValueSize {
		faults = append(faults, fmt.Errorf("boltkv: Config.MaxValue is %d, must be in 0 to %d", c.MaxValue, bbolt.MaxValueSize))
	}
	return errors.Join(faults...)
}
