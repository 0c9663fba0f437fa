package badgerkv

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
)

func TestGarbageInTheValueLogIsCollected(t *testing.T) {
	ctx := t.Context()
	opts := badger.DefaultOptions(filepath.Join(t.TempDir(), "store")).WithLogger(nil).WithMemTableSize(8 << 20).
		WithValueLogFileSize(1 << 20).WithValueThreshold(1 << 10).WithCompactL0OnClose(true)
	files := func() int {
		names, err := filepath.Glob(filepath.Join(opts.Dir, "*.vlog"))
		require.NoError(t, err)
		return len(names)
	}
	value := make([]byte, 32<<10)
	for range 2 { // badger learns what is garbage when it compacts
		db, err := badger.Open(opts)
		require.NoError(t, err)
		kv, err := New(db, Config{})
		require.NoError(t, err)
		for i := range 200 { // 6 MiB, of which 128 KiB live
			require.NoError(t, kv.SetRaw(ctx, fmt.Sprint("key ", i%4), value))
		}
		require.NoError(t, kv.Close())
		require.NoError(t, db.Close())
	}

	db, err := badger.Open(opts)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	before := files()
	require.Greater(t, before, 5)

	info, err := os.Stat(opts.Dir)
	require.NoError(t, err)
	full, err := embedded.NewDisk(opts.Dir, info, 1<<62)
	require.NoError(t, err)
	require.False(t, (&collector{}).again(db, full, opts.ValueLogFileSize), "there is no room to rewrite a file")
	require.Equal(t, before, files())

	kv, err := New(db, Config{GCInterval: time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	require.Eventually(t, func() bool { return files() <= before/2 }, 30*time.Second, 10*time.Millisecond)
	for i := range 4 {
		got, err := kv.GetRaw(ctx, fmt.Sprint("key ", i))
		require.NoError(t, err)
		require.Equal(t, value, got)
	}
}

func TestOpenCollectsGarbageAndNewLeavesItToTheOwner(t *testing.T) {
	kv, _ := open(t, Config{})
	require.NotNil(t, kv.collect)
	kv, _ = open(t, Config{GCInterval: -1})
	require.Nil(t, kv.collect)
	kv, _ = borrow(t, Config{})
	require.Nil(t, kv.collect)
}
