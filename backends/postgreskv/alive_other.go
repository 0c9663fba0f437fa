//go:build !linux && !darwin && !freebsd

package postgreskv

import "syscall"

// quiet does not know.
func quiet(syscall.RawConn) bool { return true }
