//go:build unix && !aix && !solaris

package badgerkv

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

const modeMatters = true

// probeLock takes badger's lock of dir and gives it back. badger's own error
// for a lock that is held wraps nothing that errors.Is could find.
func probeLock(dir string) error {
	f, err := os.Open(dir) //#nosec G304 G703 -- the path is the caller's own
	if err != nil {
		return fmt.Errorf("badgerkv: %w", err)
	}
	defer func() { _ = f.Close() }() // gives the lock back, too
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("badgerkv: %s is in use: another process or another Open holds its lock: %w", dir, err)
	}
	if err != nil {
		return fmt.Errorf("badgerkv: cannot lock %s: %w", dir, err)
	}
	return nil
}
