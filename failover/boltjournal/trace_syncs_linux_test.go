package boltjournal

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a sync makes safe.
const (
	newFileSync = "a new file"       // before it gets its name
	folderSync  = "the folder"       // after that
	growSync    = "a file's length"  // before anything is written there
	pagesSync   = "a commit's pages" // before its head is written
	headSync    = "a commit's head"  // before it is acknowledged
)

// syncKinds says of each sync in a trace what it makes safe.
func syncKinds(t *testing.T, steps []step, dir string) map[*call]string {
	kinds := map[*call]string{}
	since := map[*inode]string{} // what was done since the last sync
	r := newReplay(dir)
	for _, s := range steps {
		fd, _ := s.number(0)
		f := r.fds[fd]
		if _, err := r.step(s); err != nil {
			require.NoError(t, err)
		}
		switch s.name {
		case "pwrite64":
			since[f] = pagesSync
			if at, err := s.number(3); err == nil && at <= int64(os.Getpagesize()) {
				since[f] = headSync
			}
		case "ftruncate":
			since[f] = growSync
		case "fsync", "fdatasync":
			switch {
			case r.dirs[fd]:
				kinds[s.call] = folderSync
			case f == nil || s.ends:
				continue
			case f == r.disk.now["journal.db"+newSuffix]:
				kinds[s.call] = newFileSync
			default:
				kinds[s.call] = since[f]
			}
		}
	}
	return kinds
}
