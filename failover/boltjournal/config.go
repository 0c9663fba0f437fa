package boltjournal

import "time"

// Config is what Open takes; the zero Config works.
type Config struct {
	// MaxKeys bounds how many records the journal holds; 0 = 1,000,000,
	// negative = no bound. So many take 0.3 GB of memory in the journal, and
	// more in the group, besides keys and values (BenchmarkOpen).
	MaxKeys int
	// MaxBytes bounds the keys and values of all records together; 0 = 1 GiB,
	// 1 KiB for each of MaxKeys, negative = no bound. They are in memory too,
	// and the file is larger and needs its room twice when it is opened.
	MaxBytes int64
	// LockTimeout is how long Open waits while somebody else has the journal
	// open; 0 = 1s, negative = one try.
	LockTimeout time.Duration
	// NoSync leaves out every sync. What was put then survives a crash of the
	// process but not one of the machine, which may also leave a file that
	// Open finds damaged: an acknowledged write can be lost, as with
	// failover.MemoryJournal.
	NoSync bool
}

const (
	defaultMaxKeys     = 1_000_000
	defaultMaxBytes    = 1 << 30
	defaultLockTimeout = time.Second
)

func (c Config) withDefaults() Config {
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultMaxKeys
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.LockTimeout == 0 {
		c.LockTimeout = defaultLockTimeout
	}
	return c
}
