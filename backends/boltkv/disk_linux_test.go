package boltkv

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/holdfastkv/holdfast/resilient"
)

// divert makes the database's descriptor lead to another file, until back is
// called; its mapping, from which it reads, stays.
func divert(tb testing.TB, file *os.File, to string) (back func()) {
	tb.Helper()
	other, err := os.OpenFile(to, os.O_RDWR, 0)
	require.NoError(tb, err)
	kept, err := unix.Dup(int(file.Fd()))
	require.NoError(tb, err)
	require.NoError(tb, unix.Dup3(int(other.Fd()), int(file.Fd()), 0))
	require.NoError(tb, other.Close())
	return func() {
		require.NoError(tb, unix.Dup3(kept, int(file.Fd()), 0))
		require.NoError(tb, unix.Close(kept))
	}
}

// diverted returns a store that has pages to spare, so that a commit does not
// begin with growing the file, and the file it has open.
func diverted(tb testing.TB) (*KV, *os.File) {
	tb.Helper()
	var file *os.File
	kv, _ := borrow(tb, Config{}, &bbolt.Options{
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			file, err = os.OpenFile(path, flag, mode)
			return file, err
		},
	})
	require.NoError(tb, kv.SetRaw(tb.Context(), "spare", make([]byte, 64<<10)))
	require.NoError(tb, kv.Delete(tb.Context(), "spare"))
	require.NoError(tb, kv.SetRaw(tb.Context(), "k", []byte("old")))
	return kv, file
}

func TestACommitThatFindsTheDiskFullIsRefusedAndHarmless(t *testing.T) {
	kv, file := diverted(t)
	ctx := t.Context()
	back := divert(t, file, "/dev/full")
	err := kv.SetRaw(ctx, "k", []byte("new"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Refused, kv.Classify(err))
	value, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "old", string(value))

	back()
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("new")))
	require.NoError(t, kv.Health(ctx))
}

func TestACommitThatCannotBeSyncedBreaksTheStore(t *testing.T) {
	kv, file := diverted(t)
	ctx := t.Context()
	back := divert(t, file, "/dev/null") // takes every write and cannot sync
	defer back()
	err := kv.SetRaw(ctx, "k", []byte("new"))
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorIs(t, err, resilient.ErrRefused, "the meta page was not written")
	require.ErrorContains(t, kv.SetRaw(ctx, "k", nil), "opened anew")
	require.ErrorContains(t, kv.Health(ctx), "opened anew")
	value, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "old", string(value))
}

// smallDisk mounts a file system of size bytes.
func smallDisk(tb testing.TB, size int) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		tb.Skipf("a full disk needs the right to mount a tmpfs (run as root): %v", err)
	}
	tb.Cleanup(func() { require.NoError(tb, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestAFullDiskLosesNothingAndHealsWhenThereIsSpace(t *testing.T) {
	ctx := t.Context()
	dir := smallDisk(t, 4<<20)
	for name, floor := range map[string]int64{"with a floor": 1 << 20, "without": -1} {
		kv, err := Open(filepath.Join(dir, "store.db"), Config{MinFree: floor})
		require.NoError(t, err)
		ballast := filepath.Join(dir, "ballast")
		require.NoError(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))

		n, value := 0, bytes.Repeat([]byte("x"), 64<<10)
		for ; err == nil; n++ {
			require.Less(t, n, 1000)
			err = kv.SetRaw(ctx, fmt.Sprint("key ", n), value)
		}
		require.ErrorIs(t, err, resilient.ErrRefused, name)
		if floor > 0 {
			require.ErrorIs(t, kv.Health(ctx), resilient.ErrRefused)
		} else {
			require.ErrorIs(t, err, syscall.ENOSPC)
		}
		for i := range n - 1 {
			got, err := kv.GetRaw(ctx, fmt.Sprint("key ", i))
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
		_, err = kv.GetRaw(ctx, fmt.Sprint("key ", n-1))
		require.ErrorIs(t, err, resilient.ErrNotFound, "what was refused is not there")

		require.NoError(t, os.Remove(ballast))
		require.NoError(t, kv.SetRaw(ctx, "after", value))
		require.NoError(t, kv.Health(ctx))
		require.NoError(t, kv.Close())
		require.NoError(t, os.Remove(filepath.Join(dir, "store.db")))
	}
}
