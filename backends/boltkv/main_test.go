package boltkv

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// open opens a store in a new file and returns it with the file's path.
func open(tb testing.TB, cfg Config) (*KV, string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "store.db")
	kv, err := Open(path, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = kv.Close() })
	return kv, path
}

// borrow opens a database of the test's own and a store in it.
func borrow(tb testing.TB, cfg Config, opts *bbolt.Options) (*KV, *bbolt.DB) {
	tb.Helper()
	db, err := bbolt.Open(filepath.Join(tb.TempDir(), "borrowed.db"), 0o600, opts)
	require.NoError(tb, err)
	kv, err := New(db, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, kv.Close())
		require.NoError(tb, db.Close())
	})
	return kv, db
}

// descriptors returns how many files the process has open under dir.
func descriptors(tb testing.TB, dir string) (n int) {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(tb, err)
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && filepath.Dir(target) == dir {
			n++
		}
	}
	return n
}

// lastCommit returns the number of the last transaction that was committed.
func lastCommit(tb testing.TB, db *bbolt.DB) (id int) {
	tb.Helper()
	require.NoError(tb, db.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	}))
	return id
}

// queued returns how many writes wait for a transaction.
func (c *committer) queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.queue)
}

func waitQueued(tb testing.TB, kv *KV, n int) {
	tb.Helper()
	require.Eventually(tb, func() bool { return kv.committer.queued() == n }, patience, time.Millisecond)
}
