// Package embedded is what the stores that live in this process's files share:
// the gate that Close shuts, the check of file identity and free space, the
// shield against a driver that panics, and the checks of batches.
package embedded
