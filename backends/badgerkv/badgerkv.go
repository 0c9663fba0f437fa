package badgerkv

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// KV is a store in one namespace of a badger database. Make one with Open or
// New; all methods are safe for concurrent use. badger takes no context: a call
// that has begun goes on when its ctx ends. Wrap the store in resilient.Detach
// where a caller must be able to leave.
type KV struct {
	db       *badger.DB
	owned    bool
	cfg      Config
	keys     keyspace
	maxValue int
	disks    []*embedded.Disk // of the tables and, elsewhere, of the value log, which is the last
	gate     *guard.Gate
	faults   *faults
	collect  *collector // nil if no garbage is collected
	closed   sync.Once
	closeErr error
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open opens the badger database in dir, and makes the directory with mode
// 0700 if it is not there; an existing empty directory gets that mode. It
// refuses a symbolic link, a directory with files in it that group or others
// may enter (unless Config.AnyMode), a directory that another process or
// another Open has in use, and a disk below Config.MinFree. Close closes the
// database.
func Open(dir string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	dir, err := prepare(dir, cfg.AnyMode)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(dir) //#nosec G703 -- the path is the caller's own
	if err != nil {
		return nil, fmt.Errorf("badgerkv: %w", err)
	}
	disk, err := embedded.NewDisk(dir, info, cfg.floor(numMemtables, memTableSize))
	if err != nil {
		return nil, fmt.Errorf("badgerkv: %w", err)
	}
	disks := []*embedded.Disk{disk}
	if err := disk.Check(0); err != nil {
		return nil, fmt.Errorf("badgerkv: %w", err)
	}
	faults := &faults{}
	var db *badger.DB
	err = embedded.Shield(func() (err error) {
		db, err = badger.Open(options(dir, cfg, faults))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("badgerkv: cannot open %s: %w", dir, err)
	}
	if cfg.GCInterval == 0 {
		cfg.GCInterval = defaultGCInterval
	}
	kv := build(db, disks, faults, cfg)
	kv.owned = true
	return kv, nil
}

// New returns a store in a namespace of db, which it borrows: Close leaves it
// open. Close the store before db: badger does not bear calls during its own
// Close. Several stores may share one db if their namespaces differ. A db in
// memory is refused: memkv is a store in memory.
func New(db *badger.DB, cfg Config) (*KV, error) {
	if db == nil {
		return nil, errors.New("badgerkv: the database is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if db.IsClosed() {
		return nil, fmt.Errorf("badgerkv: %w", badger.ErrDBClosed)
	}
	err := embedded.Shield(func() error {
		db.NewTransaction(false).Discard() // panics if the owner gives out the timestamps
		return nil
	})
	if err != nil {
		return nil, errors.New("badgerkv: a database with managed transactions cannot be used")
	}
	opts := db.Opts()
	if opts.InMemory {
		return nil, errors.New("badgerkv: a database in memory cannot be used: take memkv")
	}
	var disks []*embedded.Disk
	for _, dir := range slices.Compact([]string{opts.Dir, opts.ValueDir}) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("badgerkv: %w", err)
		}
		disk, err := embedded.NewDisk(dir, info, cfg.floor(opts.NumMemtables, opts.MemTableSize))
		if err != nil {
			return nil, fmt.Errorf("badgerkv: %w", err)
		}
		disks = append(disks, disk)
	}
	return build(db, disks, &faults{}, cfg), nil
}

// options returns what Open sets on badger; doc.go says why.
func options(dir string, cfg Config, faults *faults) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(!cfg.NoSync).
		WithMemTableSize(memTableSize).
		WithNumMemtables(numMemtables).
		WithBlockCacheSize(blockCacheSize).
		WithValueLogFileSize(valueLogFileSize).
		WithNumCompactors(2).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithLogger(listener{faults})
}

func build(db *badger.DB, disks []*embedded.Disk, faults *faults, cfg Config) *KV {
	k := &KV{
		db:     db,
		cfg:    cfg,
		keys:   newKeyspace(cfg.Namespace),
		disks:  disks,
		gate:   guard.NewGate(),
		faults: faults,
	}
	opts := db.Opts()
	k.maxValue = int(min(int64(cfg.MaxValue), opts.ValueLogFileSize))
	if cfg.GCInterval > 0 && !opts.ReadOnly {
		k.collect = newCollector(db, disks[len(disks)-1], cfg.GCInterval, opts.ValueLogFileSize)
	}
	return k
}

// Limits returns 512 bytes for keys and, for values, Config.MaxValue or what
// the database allows if that is less.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.maxValue}
}

// Close refuses new calls, waits for those in progress and for a running
// garbage collection, and closes the database if Open opened it. Long reads
// and batches end early with resilient.ErrClosed. Further calls wait for the
// first and return its error.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		<-k.gate.Empty()
		if k.collect != nil {
			k.collect.close()
		}
		if k.owned {
			k.closeErr = conceal(embedded.Shield(k.db.Close))
		}
	})
	return k.closeErr
}
