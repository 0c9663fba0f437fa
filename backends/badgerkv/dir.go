package badgerkv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// prepare makes dir if it must, refuses what badger should not be opened in,
// and returns the absolute path.
func prepare(dir string, anyMode bool) (string, error) {
	if dir == "" {
		return "", errors.New("badgerkv: the directory's name is empty")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("badgerkv: %w", err)
	}
	info, err := os.Lstat(dir) //#nosec G703 -- the path is the caller's own
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(dir, 0o700); err != nil { //#nosec G703 -- the path is the caller's own
			return "", fmt.Errorf("badgerkv: %w", err)
		}
	case err != nil:
		return "", fmt.Errorf("badgerkv: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return "", fmt.Errorf("badgerkv: %s is a symbolic link", dir)
	case !info.IsDir():
		return "", fmt.Errorf("badgerkv: %s is not a directory", dir)
	case !anyMode:
		if err := restrict(dir, info); err != nil {
			return "", err
		}
	}
	return dir, probeLock(dir)
}

// restrict sees to it that only the owner may enter dir, because badger makes
// some of its files with mode 0644.
func restrict(dir string, info os.FileInfo) error {
	if !modeMatters || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("badgerkv: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("badgerkv: %s has mode %04o and files in it: set it to 0700 or set Config.AnyMode", dir, info.Mode().Perm())
	}
	if err := os.Chmod(dir, 0o700); err != nil { //#nosec G302 G703 -- a directory, of the caller's own path
		return fmt.Errorf("badgerkv: %w", err)
	}
	return nil
}
