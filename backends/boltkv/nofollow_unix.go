//go:build unix

package boltkv

import "syscall"

// noFollow makes open fail on a symbolic link that appears after it was looked
// for.
const noFollow = syscall.O_NOFOLLOW
