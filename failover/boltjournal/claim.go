package boltjournal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockRetry is the pause between two tries to get a lock.
const lockRetry = 10 * time.Millisecond

var errInUse = errors.New("somebody else has it open")

// newSuffix is added to a journal's path for the file that is to replace it.
const newSuffix = ".new"

// claim is the right to replace the file at path: whoever has the lock of the
// file beside it, which is going to be the new one. A journal that is in use
// also holds the lock of its file.
type claim struct {
	path string
	next *os.File // locked, empty; nil when it has been used
	info os.FileInfo
}

// newClaim waits for the right to replace the file at path.
func newClaim(path string, timeout time.Duration) (*claim, error) {
	next, err := createLocked(path+newSuffix, time.Now().Add(timeout))
	if err != nil {
		return nil, err
	}
	info, err := next.Stat()
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return &claim{path: path, next: next, info: info}, nil
}

// held reports whether the new file is still the one at its path. If somebody
// has removed it, another process may hold a claim of its own by now.
func (c *claim) held() bool { return isAt(c.info, c.path+newSuffix) }

// release gives the right up.
func (c *claim) release() {
	if c.next != nil {
		if c.held() {
			_ = os.Remove(c.path + newSuffix)
		}
		_ = c.next.Close()
		c.next = nil
	}
}

// createLocked makes the file at path and locks it. One that is there and not
// locked was left by a process that died: it is removed, never written to.
func createLocked(path string, deadline time.Time) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600) //#nosec G304 G703 -- the path is the caller's own
		switch {
		case err == nil:
			ok, err := lockAt(f, path, false)
			if ok {
				return f, nil
			}
			_ = f.Close()
			if err != nil {
				return nil, errors.Join(err, os.Remove(path)) //#nosec G703 -- the path is the caller's own
			}
		case errors.Is(err, fs.ErrExist):
			removed, err := removeStale(path)
			if err != nil {
				return nil, err
			}
			if removed {
				continue
			}
		default:
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, errInUse
		}
		time.Sleep(lockRetry)
	}
}

// removeStale removes the file at path, and reports false if somebody has
// locked it.
func removeStale(path string) (bool, error) {
	f, err := openRegular(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s is in the way: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	if ok, err := lockAt(f, path, false); !ok {
		return false, err
	}
	return true, os.Remove(path) //#nosec G703 -- the path is the caller's own
}

// openLocked opens the file at path and waits for its lock.
func openLocked(path string, flag int, shared bool, deadline time.Time) (*os.File, error) {
	for {
		f, err := openRegular(path, flag)
		if err != nil {
			return nil, err
		}
		ok, err := lockAt(f, path, shared)
		if ok {
			return f, nil
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, errInUse
		}
		time.Sleep(lockRetry)
	}
}

// lockAt locks f, and reports false if somebody else has the lock or f is no
// longer the file at path: its owner has replaced it before letting go.
func lockAt(f *os.File, path string, shared bool) (bool, error) {
	if ok, err := tryLock(f, shared); !ok || err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	return isAt(info, path), nil
}

// isAt reports whether the file that info describes is the one at path.
func isAt(info os.FileInfo, path string) bool {
	now, err := os.Lstat(path) //#nosec G703 -- the path is the caller's own
	return err == nil && os.SameFile(now, info)
}

// openRegular opens the file at path. It refuses everything but a regular file
// and follows no symbolic link in the last element.
func openRegular(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path) //#nosec G703 -- the path is the caller's own
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, errors.New("it is a symbolic link")
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	return os.OpenFile(path, flag|noFollow, 0) //#nosec G304 G703 -- the path is the caller's own
}

// left is a journal's file as an earlier process has left it, locked.
type left struct {
	*claim
	file *os.File // nil = there is none
	had  *contents
}

// takeLeft claims the file at path and reads it. Nothing is written.
func takeLeft(path string, cfg Config) (*left, error) {
	timeout := max(0, cfg.LockTimeout)
	deadline := time.Now().Add(timeout)
	if err := refuseOddities(path); err != nil {
		return nil, err
	}
	c, err := newClaim(path, timeout)
	if err != nil {
		return nil, err
	}
	l := &left{claim: c}
	if l.file, err = openLocked(path, os.O_RDWR, false, deadline); err == nil {
		l.had, err = readFile(l.file)
	} else if errors.Is(err, fs.ErrNotExist) {
		l.had, err = newContents(nil), nil
		l.had.clean = true
	}
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// refuseOddities finds what is wrong with the path before anything is made.
func refuseOddities(path string) error {
	f, err := openRegular(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (l *left) release() {
	l.claim.release()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// replace puts a new file with these contents in the place of the one that was
// left, and returns it locked.
func (l *left) replace(with *contents, cfg Config) (*file, error) {
	var was os.FileInfo
	if l.file != nil {
		var err error
		if was, err = l.file.Stat(); err != nil {
			return nil, err
		}
	}
	return l.claim.replace(was, with, cfg)
}

// absolute makes the journal independent of the working directory.
func absolute(path string) (string, error) {
	if path == "" {
		return "", errors.New("boltjournal: the path is empty")
	}
	return filepath.Abs(path)
}
