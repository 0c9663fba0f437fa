//go:build linux || darwin || freebsd

package postgreskv

import "syscall"

// quiet reports whether a socket is open and has nothing to read. What a server
// says to an idle connection is that it ends it, or news of a setting, for which
// it may be dropped as well.
func quiet(raw syscall.RawConn) (ok bool) {
	// Control waits for nobody, where Read would wait for a read in progress.
	err := raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ok = err == syscall.EAGAIN || err == syscall.EINTR
	})
	return ok && err == nil
}
