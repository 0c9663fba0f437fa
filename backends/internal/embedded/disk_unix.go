//go:build linux || darwin || freebsd

package embedded

import "syscall"

// freeBytes returns what an unprivileged writer could still use on the file
// system of path.
func freeBytes(path string) (int64, error) {
	var st syscall.Statfs_t
	for {
		err := syscall.Statfs(path, &st)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		// The fields' types differ from system to system.
		return int64(st.Bavail) * int64(st.Bsize), nil //#nosec G115 -- no disk has 8 EiB of free blocks; the fields' types differ from system to system
	}
}
