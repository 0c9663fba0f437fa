package mysqlkv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// diskFull returns a store on a server whose database is on a disk without
// space: new values of any size have been refused, or hung.
func diskFull(tb testing.TB) resilient.KVWithHealth {
	tb.Helper()
	server := servertest.MySQL(tb)
	server.Stop()
	dir := filepath.Join(server.Dir(), "data", "holdfast")
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m,mode=777"); err != nil {
		tb.Skipf("a full disk needs the right to mount a tmpfs (run as root): %v", err)
	}
	tb.Cleanup(func() {
		server.Kill()
		require.NoError(tb, unix.Unmount(dir, unix.MNT_DETACH))
	})
	server.Start()
	kv := open(tb, server, Config{Namespace: "compat", Canary: true})
	require.NoError(tb, kv.Health(tb.Context()))
	require.NoError(tb, kv.SetRaw(tb.Context(), "compat", []byte("other")))
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 6<<20), 0o600))
	for size := 64 << 10; size >= 64; size /= 4 { // small values fit for longer
		for i := range 10000 {
			ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Second)
			err := kv.SetRaw(ctx, fmt.Sprint("fill ", size, i), make([]byte, size))
			cancel()
			if err != nil {
				tb.Logf("write %d of %d bytes: %v", i, size, err)
				break
			}
		}
	}
	return kv
}
