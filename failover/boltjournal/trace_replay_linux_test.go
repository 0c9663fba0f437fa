package boltjournal

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tracedCalls are the calls that strace is asked for: all that can change a
// file, a name or what a descriptor leads to. A question mark lets strace do
// without those that an architecture has not got.
const tracedCalls = "openat,?open,?creat,?openat2,close,dup,?dup2,dup3,fcntl," +
	"write,writev,pwrite64,pwritev,?pwritev2,sendfile,copy_file_range,splice,ftruncate,truncate,fallocate," +
	"fsync,fdatasync,sync,syncfs,sync_file_range,mmap,msync,?io_uring_setup," +
	"?rename,renameat,?renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat"

// replay does to a disk what a process did to the files of one folder. Calls
// that concern other files are left out; one that concerns these and that it
// does not know is an error.
type replay struct {
	disk *disk
	dir  string
	fds  map[int64]*inode // of our files
	dirs map[int64]bool   // descriptors of the folder
	ends map[*call]func() // what the end of a call that has begun does

	maps int // mappings of our files
}

func newReplay(dir string) *replay {
	return &replay{disk: newDisk(), dir: dir, fds: map[int64]*inode{}, dirs: map[int64]bool{}, ends: map[*call]func(){}}
}

// name returns the name in the folder that argument i, a path, is; "" = it is
// elsewhere.
func (r *replay) name(c *call, i int) string {
	path, err := c.text(i)
	if err != nil || filepath.Dir(path) != r.dir {
		return ""
	}
	return filepath.Base(path)
}

// step does one step. It reports whether that has changed what a crash may
// leave.
func (r *replay) step(s step) (changed bool, err error) {
	if s.ends {
		end := r.ends[s.call]
		delete(r.ends, s.call)
		if end != nil {
			end()
		}
		return end != nil && strings.HasSuffix(s.name, "sync"), nil
	}
	if s.fail != "" && s.fail != "cut off" {
		return false, nil // it has changed nothing
	}
	end, changed, err := r.begin(s.call)
	if err != nil {
		return false, fmt.Errorf("%w: %s on a file of the journal", err, s.name)
	}
	if end != nil {
		r.ends[s.call] = end
	}
	return changed, nil
}

// begin does what a call does at its begin: what it changes may be on the disk
// from then on. It returns what is to be done at the call's end.
func (r *replay) begin(c *call) (end func(), changed bool, err error) {
	switch c.name {
	case "openat":
		return r.open(c)
	case "renameat", "renameat2":
		return r.renaming(c, r.name(c, 1), r.name(c, 3))
	case "unlinkat":
		return r.renaming(c, r.name(c, 1), "")
	case "rename", "link", "linkat", "symlink", "symlinkat", "open", "creat", "truncate", "unlink", "openat2":
		for i := range c.args {
			if r.name(c, i) != "" {
				return nil, false, errTrace
			}
		}
		return nil, false, nil
	case "sync", "syncfs", "io_uring_setup":
		return nil, false, errTrace
	}
	at := 0
	switch c.name {
	case "mmap":
		at = 4
	case "copy_file_range", "splice":
		at = 2
	}
	fd, err := c.number(at)
	if err != nil {
		return nil, false, nil // without a file
	}
	if r.dirs[fd] {
		return r.folder(c, fd)
	}
	if c.name == "dup3" || c.name == "dup2" { // to a descriptor of ours
		to, err := c.number(1)
		if err != nil {
			return nil, false, err
		}
		return func() { r.lead(to, r.fds[fd]) }, false, nil
	}
	if f := r.fds[fd]; f != nil {
		return r.file(c, fd, f)
	}
	return nil, false, nil
}

// lead makes a descriptor lead to f, or with nil to something else.
func (r *replay) lead(fd int64, f *inode) {
	delete(r.fds, fd)
	delete(r.dirs, fd)
	if f != nil {
		r.fds[fd] = f
	}
}

func (r *replay) open(c *call) (end func(), changed bool, err error) {
	path, err := c.text(1)
	if err != nil {
		return nil, false, err
	}
	if path == r.dir {
		return func() { r.lead(c.ret, nil); r.dirs[c.ret] = true }, false, nil
	}
	name := r.name(c, 1)
	if name == "" {
		return func() { r.lead(c.ret, nil) }, false, nil
	}
	if strings.Contains(c.args[2], "O_TRUNC") || strings.Contains(c.args[2], "O_APPEND") {
		return nil, false, errTrace
	}
	f := r.disk.now[name]
	if f != nil {
		return func() { r.lead(c.ret, f) }, false, nil
	}
	f = &inode{}
	n := r.disk.rename(&naming{to: name, file: f})
	return func() { n.done = true; r.lead(c.ret, f) }, true, nil
}

func (r *replay) renaming(c *call, from, to string) (end func(), changed bool, err error) {
	switch {
	case from == "" && to == "":
		return nil, false, nil
	case c.args[0] != "AT_FDCWD" || r.disk.now[from] == nil || c.name != "unlinkat" && to == "":
		return nil, false, errTrace
	}
	n := r.disk.rename(&naming{from: from, to: to, file: r.disk.now[from]})
	return func() { n.done = true }, true, nil
}

// folder does a call on a descriptor of the folder.
func (r *replay) folder(c *call, fd int64) (end func(), changed bool, err error) {
	switch c.name {
	case "fsync", "fdatasync":
		n := r.disk.done()
		return func() { r.disk.synced(n) }, false, nil
	case "close":
		delete(r.dirs, fd)
		return nil, false, nil
	case "fcntl":
		return nil, false, nil
	}
	return nil, false, errTrace
}

// file does a call on a descriptor of f.
func (r *replay) file(c *call, fd int64, f *inode) (end func(), changed bool, err error) {
	switch c.name {
	case "pwrite64":
		b, err := c.text(1)
		at, noAt := c.number(3)
		if err != nil || noAt != nil {
			return nil, false, errTrace
		}
		if c.fail == "" {
			b = b[:c.ret]
		}
		p := f.write([]byte(b), int(at))
		return func() { p.done = true }, true, nil
	case "ftruncate":
		size, err := c.number(1)
		if err != nil || int(size) < len(f.now) {
			return nil, false, errTrace
		}
		p := f.write(nil, int(size))
		return func() { p.done = true }, true, nil
	case "fsync", "fdatasync":
		patches := f.done()
		return func() { f.synced(patches) }, false, nil
	case "close":
		delete(r.fds, fd)
		return nil, false, nil
	case "fcntl":
		if strings.HasPrefix(c.args[1], "F_DUPFD") {
			return func() { r.lead(c.ret, f) }, false, nil
		}
		return nil, false, nil
	case "dup":
		return func() { r.lead(c.ret, f) }, false, nil
	case "mmap":
		if strings.Contains(c.args[2], "PROT_WRITE") && strings.Contains(c.args[3], "MAP_SHARED") {
			return nil, false, errTrace // what is written through it shows in no trace
		}
		r.maps++
		return nil, false, nil
	}
	return nil, false, errTrace
}

// played plays a trace of what happened in /d, and returns the files.
func played(t *testing.T, trace string) (*disk, error) {
	t.Helper()
	for _, s := range []string{"/d/a", "/d/b", "/d", "/e", "xx"} { // as strace -xx prints them
		code := ""
		for _, c := range []byte(s) {
			code += fmt.Sprintf(`\x%02x`, c)
		}
		trace = strings.ReplaceAll(trace, `"`+s+`"`, `"`+code+`"`)
	}
	steps, err := parseTrace(strings.NewReader(trace))
	require.NoError(t, err)
	r := newReplay("/d")
	for _, s := range steps {
		if _, err := r.step(s); err != nil {
			return nil, err
		}
	}
	require.Empty(t, r.ends)
	return r.disk, nil
}

func TestAReplayFollowsDescriptorsAndNames(t *testing.T) {
	d, err := played(t, `1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT|O_EXCL, 0600) = 5
1 openat(AT_FDCWD, "/e", O_RDWR) = 6
1 pwrite64(6, "xx", 2, 0) = 2
1 pwrite64(5, "xx", 2, 2) = 1
1 pwrite64(5, "xx", 2, 9) = -1 ENOSPC (No space left on device)
1 openat(AT_FDCWD, "/d/a", O_RDWR) = 7
1 fcntl(5, F_DUPFD_CLOEXEC, 0) = 8
1 dup3(6, 5, 0) = 5
1 pwrite64(5, "xx", 2, 20) = 2
1 fdatasync(7) = 0
1 ftruncate(8, 8) = 0
1 renameat(AT_FDCWD, "/d/a", AT_FDCWD, "/d/b") = 0
1 close(7) = 0
1 openat(AT_FDCWD, "/d", O_RDONLY) = 7
1 fsync(7) = 0
1 close(7) = 0
1 pwrite64(7, "xx", 2, 30) = 2
1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT, 0600) = 7
1 unlinkat(AT_FDCWD, "/d/a", 0) = 0
`)
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"b": []byte("\x00\x00x")}, d.crash(extremes[0]))
	require.Equal(t, map[string][]byte{"b": []byte("\x00\x00x\x00\x00\x00\x00\x00")}, d.crash(extremes[5]))
	require.Len(t, d.loose, 2)
}

func TestAReplayRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, line := range []string{
		`mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 5, 0) = 0x7f0000000000`, `write(5, "xx", 2) = 2`, `fallocate(5, 0, 0, 8) = 0`,
		`ftruncate(5, 1) = 0`, `truncate("/d/a", 1) = 0`, `linkat(AT_FDCWD, "/d/a", AT_FDCWD, "/e", 0) = 0`, `sync() = 0`,
		`renameat(AT_FDCWD, "/d/a", AT_FDCWD, "/e") = 0`, `renameat(AT_FDCWD, "/e", AT_FDCWD, "/d/b") = 0`,
		`openat(AT_FDCWD, "/d/a", O_RDWR|O_TRUNC) = 6`, `copy_file_range(9, NULL, 5, NULL, 8, 0) = 8`,
	} {
		_, err := played(t, `1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT, 0600) = 5
1 pwrite64(5, "xx", 2, 0) = 2
1 `+line+"\n")
		require.ErrorIs(t, err, errTrace, line)
	}
}
