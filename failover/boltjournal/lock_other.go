//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package boltjournal

import (
	"errors"
	"fmt"
	"os"
)

const noFollow = 0

// tryLock cannot: an open file must be locked and renamed, which is not known
// to work here.
func tryLock(f *os.File, _ bool) (bool, error) {
	return false, fmt.Errorf("journals do not work on this system: %w", errors.ErrUnsupported)
}

func giveTo(*os.File, os.FileInfo) error { return nil }

func syncDir(string) error { return errors.ErrUnsupported }
