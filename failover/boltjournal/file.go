package boltjournal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"
)

// file is the bbolt file of a journal in use. This process has made it: what
// an earlier one has left is only ever read, so that damage in it which does
// not show, in the list of free pages say, cannot spread.
type file struct {
	db    *bbolt.DB
	f     *os.File // db's own
	info  os.FileInfo
	stuck bool // a transaction could not be ended: closing db would wait for it
}

// packed is how full pages are made when keys are written in order. bbolt's own
// half would make the file twice as large as what it holds.
const packed = 0.9

// chunk is how many bytes are written in one transaction when a file is made.
const chunk = 8 << 20

// replace makes the claimed file one with these contents and then puts it in
// the place of the file that was describes, nil if there is none. It returns
// the new file, locked. With a file and an error the place has been taken, but
// may be given back to the old file by a crash of the machine.
func (c *claim) replace(was os.FileInfo, with *contents, cfg Config) (*file, error) {
	f, err := makeFile(c.next, with, cfg)
	if err == nil && was != nil {
		err = giveTo(f.f, was)
	}
	if err == nil {
		err = c.free(was)
	}
	if err == nil && !c.held() {
		err = errNewGone
	}
	if err == nil {
		err = os.Rename(c.path+newSuffix, c.path)
	}
	if err != nil {
		c.release() // removes the file while it is still locked
		_ = f.close()
		return nil, err
	}
	c.next = nil
	if !cfg.NoSync {
		err = syncDir(filepath.Dir(c.path))
	}
	return f, err
}

// free reports why the path is not free for a new file: nothing but the file
// that is to be replaced may be there, and nothing is as good.
func (c *claim) free(was os.FileInfo) error {
	switch info, err := os.Lstat(c.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case was == nil || !os.SameFile(info, was):
		return errReplaced
	}
	return nil
}

var (
	errReplaced = errors.New("another file has been put in its place")
	errNewGone  = errors.New("the file that was to replace it has been removed")
)

// makeFile fills f, which is empty and locked, with the given contents. The
// result is to be closed whatever the error.
func makeFile(f *os.File, with *contents, cfg Config) (*file, error) {
	made := &file{f: f}
	err := shield(func() (err error) {
		made.db, err = bbolt.Open(f.Name(), 0o600, &bbolt.Options{
			Timeout:      1, // f is locked, and locking it again does not wait
			OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f, nil },
			FreelistType: bbolt.FreelistMapType, // the other one is slow in a large file
			NoStatistics: true,
			NoSync:       true, // until it is whole
			NoGrowSync:   true,
		})
		return err
	})
	if err == nil {
		err = made.fill(with)
	}
	if err == nil {
		made.db.NoSync, made.db.NoGrowSync = cfg.NoSync, false
		if !cfg.NoSync {
			err = shield(made.db.Sync)
		}
	}
	if err == nil {
		made.info, err = f.Stat()
	}
	return made, err
}

// fill writes all of c to a new file.
func (f *file) fill(c *contents) error {
	keys := slices.Sorted(maps.Keys(c.recs))
	for first := true; first || len(keys) > 0; first = false {
		n, size := 0, int64(0)
		for n < len(keys) && size < chunk {
			size += recordHead + c.recs[keys[n]].size()
			n++
		}
		err := f.update(func(tx *bbolt.Tx) error {
			recs, err := tx.CreateBucketIfNotExists(recordsBucket)
			if err == nil {
				recs.FillPercent = packed
			}
			for _, key := range keys[:n] {
				if err == nil {
					err = recs.Put([]byte(key), c.recs[key].encode())
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return f.update(func(tx *bbolt.Tx) error {
		notes, err := tx.CreateBucket(notesBucket)
		for name, n := range c.notes {
			if err == nil {
				err = notes.Put([]byte(name), n.encode())
			}
		}
		if err != nil {
			return err
		}
		head, err := tx.CreateBucket(headBucket)
		if err != nil {
			return err
		}
		return head.Put(headKey, c.head().encode())
	})
}

// update commits what change does. After an error nothing is known of the
// commit; lastCommit tells more.
func (f *file) update(change func(tx *bbolt.Tx) error) error {
	var tx *bbolt.Tx
	err := shield(func() (err error) {
		if tx, err = f.db.Begin(true); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
	switch {
	case errors.Is(err, errPanic):
		f.stuck = true
	case err != nil && tx != nil && tx.DB() != nil: // Commit has not ended it
		f.stuck = shield(tx.Rollback) != nil
	}
	return err
}

// lastCommit returns the number of the last transaction that the file shows.
// bbolt reads through a mapping of the file, so this is what a process that
// opened it now would find.
func (f *file) lastCommit() (id int, err error) {
	err = shield(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return nil
		})
	})
	return id, err
}

// close gives the file and its lock up.
func (f *file) close() error {
	var err error
	if f.db != nil && !f.stuck {
		err = shield(f.db.Close)
	}
	if closed := f.f.Close(); err == nil && !errors.Is(closed, fs.ErrClosed) {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
