//go:build !linux && !darwin && !freebsd

package embedded

// freeBytes does not know.
func freeBytes(string) (int64, error) { return 0, errUnknownSpace }
