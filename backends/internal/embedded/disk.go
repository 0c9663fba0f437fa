package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/holdfastkv/holdfast/resilient"
)

// errUnknownSpace is returned by freeBytes where free space cannot be asked.
var errUnknownSpace = errors.New("free space is not known on this platform")

// Disk knows which file or directory a store lives in and how much free space
// its file system must keep. It is immutable and safe for concurrent use.
type Disk struct {
	path  string
	info  os.FileInfo
	floor int64
	free  func(path string) (int64, error) // freeBytes, but for tests
}

// NewDisk remembers that the store at path is the file that info describes;
// floor is in bytes, below 1 means no floor.
func NewDisk(path string, info os.FileInfo, floor int64) (*Disk, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return &Disk{path: abs, info: info, floor: floor, free: freeBytes}, nil
}

// Check returns nil if the path still names the store that was opened and
// CheckSpace has nothing against incoming more bytes. Every other answer
// matches resilient.ErrRefused: a write to a deleted file is gone with the
// process, and a full disk is worse than a refused write. It costs two system
// calls.
func (d *Disk) Check(incoming int64) error {
	now, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("%w: the store's file is gone: %w", resilient.ErrRefused, err)
	}
	if !os.SameFile(now, d.info) {
		return fmt.Errorf("%w: %s was replaced while the store was open", resilient.ErrRefused, d.path)
	}
	return d.CheckSpace(incoming)
}

// CheckSpace returns nil if the floor is free now and half of it would be after
// incoming more bytes: a write may reach below the floor, or else writes that
// are larger than what lies above it would fail in a store whose Health is good.
func (d *Disk) CheckSpace(incoming int64) error {
	if d.floor <= 0 {
		return nil
	}
	free, err := d.free(d.path)
	if errors.Is(err, errUnknownSpace) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: free space is not known: %w", resilient.ErrRefused, err)
	}
	if free < d.floor || free-incoming < d.floor/2 {
		return fmt.Errorf("%w: %d bytes free on the disk of %s, %d must stay free", resilient.ErrRefused, free, d.path, d.floor)
	}
	return nil
}
