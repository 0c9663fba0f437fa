package badgerkv

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(fillDisk(dir))
	}
	goleak.VerifyTestMain(m)
}

// open opens a store in a new directory and returns it with the directory.
func open(tb testing.TB, cfg Config) (*KV, string) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "store")
	kv, err := Open(dir, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = kv.Close() })
	return kv, dir
}

// borrow opens a small database of the test's own and a store in it.
func borrow(tb testing.TB, cfg Config, set ...func(badger.Options) badger.Options) (*KV, *badger.DB) {
	tb.Helper()
	opts := badger.DefaultOptions(filepath.Join(tb.TempDir(), "borrowed")).
		WithLogger(nil).WithMemTableSize(8 << 20).WithBlockCacheSize(1 << 20).WithMetricsEnabled(false)
	for _, f := range set {
		opts = f(opts)
	}
	db, err := badger.Open(opts)
	require.NoError(tb, err)
	kv, err := New(db, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, kv.Close())
		require.NoError(tb, db.Close())
	})
	return kv, db
}

// descriptors returns how many files the process has open in dir, and dir.
func descriptors(tb testing.TB, dir string) (n int) {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(tb, err)
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

// fading is a context that has ended when it is asked for the n-th time.
type fading struct {
	context.Context
	n int
}

func (f *fading) Err() error {
	if f.n--; f.n <= 0 {
		return context.Canceled
	}
	return nil
}
