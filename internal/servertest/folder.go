package servertest

import (
	"os"
	"testing"
)

// InMemory starts a server by one of this package's functions, Etcd for example,
// with its folder in memory, where a sync takes no time. What a server keeps when
// it is killed is there as well; what it keeps when the machine loses its power
// no test of a process can tell. It is for tests that make many writes and look
// at what is answered: those with faults are on the disk, for there a call takes
// as long as it does elsewhere, and faults meet more of them under way.
func InMemory(tb testing.TB, start func(tb testing.TB, settings ...string) *Server, settings ...string) *Server {
	tb.Helper()
	return start(forgetful{tb}, settings...)
}

// forgetful is a test whose servers have their folders in memory.
type forgetful struct{ testing.TB }

// InMemoryFolder returns a new folder in memory, for a store that has its files
// in this process. Without room there it is one of testing's.
func InMemoryFolder(tb testing.TB) string {
	tb.Helper()
	if memoryFolder() == "" {
		return tb.TempDir()
	}
	return folder(forgetful{tb}, "")
}

// folder returns a new folder that who may enter. testing's own ones are closed
// to other users.
func folder(tb testing.TB, who string) string {
	tb.Helper()
	parent := ""
	if _, ok := tb.(forgetful); ok {
		parent = memoryFolder()
	}
	dir, err := os.MkdirTemp(parent, "servertest")
	if err == nil {
		tb.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = giveTo(who, dir)
	}
	if err != nil {
		tb.Fatalf("servertest: %v", err)
	}
	return dir
}
