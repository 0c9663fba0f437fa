package boltkv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// KV is a store in one bucket of a bbolt file. Make one with Open or New; all
// methods are safe for concurrent use.
type KV struct {
	db        *bbolt.DB
	owned     bool
	cfg       Config
	bucket    []byte
	disk      *embedded.Disk
	gate      *guard.Gate
	committer *committer
	closeErr  error
	closed    sync.Once
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Classifier   = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
)

// Open opens the bbolt file at path, and makes it with mode 0600 if it is not
// there; an existing file keeps its mode. It refuses symbolic links and
// everything that is not a regular file, and fails within Config.LockTimeout
// if another process, or another Open, holds the file. Close closes the file.
func Open(path string, cfg Config) (*KV, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if path == "" {
		return nil, errors.New("boltkv: the path is empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("boltkv: %w", err)
	}
	db, info, err := openFile(abs, cfg)
	if err != nil {
		return nil, err
	}
	kv, err := build(db, abs, info, cfg)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	kv.owned = true
	return kv, nil
}

// New returns a store in a bucket of db, which it borrows: Close leaves it
// open. Close the store before db. Several stores may share one db if their
// namespaces differ; transactions of others on db delay the writes of the
// store.
func New(db *bbolt.DB, cfg Config) (*KV, error) {
	if db == nil {
		return nil, errors.New("boltkv: the database is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	path := db.Path()
	if path == "" {
		return nil, fmt.Errorf("boltkv: %w", berrors.ErrDatabaseNotOpen)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("boltkv: %w", err)
	}
	cfg.ReadOnly = db.IsReadOnly()
	return build(db, path, info, cfg)
}

// openFile opens the database and returns the description of the very file
// that bbolt has open.
func openFile(path string, cfg Config) (*bbolt.DB, os.FileInfo, error) {
	var (
		info   os.FileInfo
		opened *os.File
	)
	opts := &bbolt.Options{
		Timeout:  cfg.LockTimeout,
		ReadOnly: cfg.ReadOnly,
		NoSync:   cfg.NoSync,
		// The hashmap freelist does not slow down as a large file fragments.
		FreelistType: bbolt.FreelistMapType,
		// Without it every commit takes one lock more, for figures nobody reads.
		NoStatistics: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := openRegular(path, flag, mode)
			if err != nil {
				return nil, err
			}
			opened = f
			info, err = f.Stat()
			return f, err
		},
	}
	var db *bbolt.DB
	err := embedded.Shield(func() (err error) {
		db, err = bbolt.Open(path, 0o600, opts)
		return err
	})
	if err == nil {
		return db, info, nil
	}
	if opened != nil {
		// bbolt closes the file on its own errors but not on a panic; closing
		// twice does no harm.
		_ = opened.Close()
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("boltkv: %s is in use: its lock was not free within %v: %w", path, cfg.LockTimeout, err)
	}
	return nil, nil, fmt.Errorf("boltkv: cannot open %s: %w", path, err)
}

// openRegular opens a regular file and does not follow a symbolic link in its
// last element.
func openRegular(path string, flag int, mode os.FileMode) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil {
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, errors.New("it is a symbolic link")
		case info.IsDir():
			return nil, errors.New("it is a directory")
		case !info.Mode().IsRegular():
			return nil, errors.New("it is not a regular file")
		}
	}
	return os.OpenFile(path, flag|noFollow, mode) //#nosec G304 -- the path is the caller's own
}

// journalBucket is there in a file of package boltjournal. A bucket more makes
// that a damaged one, of which nothing that was owed can be read.
var (
	journalBucket = []byte("holdfast journal")
	errJournal    = errors.New("the file is a journal of package boltjournal")
)

// build makes the bucket if it must and starts the committer.
func build(db *bbolt.DB, path string, info os.FileInfo, cfg Config) (*KV, error) {
	disk, err := embedded.NewDisk(path, info, cfg.MinFree)
	if err != nil {
		return nil, fmt.Errorf("boltkv: %w", err)
	}
	kv := &KV{
		db:     db,
		cfg:    cfg,
		bucket: []byte(cfg.Namespace),
		disk:   disk,
		gate:   guard.NewGate(),
	}
	if err := embedded.Shield(kv.makeBucket); err != nil {
		return nil, fmt.Errorf("boltkv: cannot use bucket %q: %w", cfg.Namespace, err)
	}
	kv.committer = newCommitter(db, kv.bucket, disk)
	return kv, nil
}

// makeBucket sees to it that the bucket is there, without a write if it is.
func (k *KV) makeBucket() error {
	err := k.db.View(func(tx *bbolt.Tx) error {
		switch {
		case tx.Bucket(journalBucket) != nil:
			return errJournal
		case tx.Bucket(k.bucket) == nil:
			return berrors.ErrBucketNotFound
		}
		return nil
	})
	if !errors.Is(err, berrors.ErrBucketNotFound) || k.cfg.ReadOnly {
		return err
	}
	return k.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(k.bucket)
		return err
	})
}

// Limits returns 512 bytes for keys and Config.MaxValue for values.
func (k *KV) Limits() resilient.Limits {
	return resilient.Limits{MaxKey: maxKey, MaxValue: k.cfg.MaxValue}
}

// Close refuses new calls, ends the writes that have not been taken into a
// commit with resilient.ErrClosed, waits for the commit and the reads in
// progress, and closes the file if Open opened it. Further calls wait for the
// first and return its error.
//
// A store on a borrowed database whose owner holds a write transaction open
// waits for that transaction if a write is waiting for it.
func (k *KV) Close() error {
	k.closed.Do(func() {
		k.gate.Shut()
		k.committer.close()
		<-k.gate.Empty()
		if k.owned {
			k.closeErr = embedded.Shield(k.db.Close)
		}
	})
	return k.closeErr
}
