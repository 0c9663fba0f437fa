//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package boltjournal

import (
	"errors"
	"os"
	"syscall"
)

// noFollow makes open fail on a symbolic link that appears after it was looked
// for.
const noFollow = syscall.O_NOFOLLOW

// tryLock takes the lock that bbolt uses, for as long as f is open, or reports
// that somebody else has it.
func tryLock(f *os.File, shared bool) (bool, error) {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

// giveTo makes f belong to whom the file that info describes belongs to: an
// operator's repair must not lock the service out.
func giveTo(f *os.File, info os.FileInfo) error {
	was, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if is, ok := now.Sys().(*syscall.Stat_t); ok && is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	return f.Chown(int(was.Uid), int(was.Gid))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path) //#nosec G304 -- the path is the caller's own
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
