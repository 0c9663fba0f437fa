// Package embedded is what the stores that live in this process's files share:
// the check of file identity and free space, and the shield against a driver
// that panics.
package embedded
