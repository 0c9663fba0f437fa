package badgerkv

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestS25_OpenMakesADirectoryThatOnlyItsOwnerMayEnter(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	_, dir := open(t, Config{})
	requireMode(t, 0o700, dir)

	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	kv, err := Open(empty, Config{})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
	requireMode(t, 0o700, empty)
}

func requireMode(tb testing.TB, want os.FileMode, path string) {
	tb.Helper()
	info, err := os.Stat(path)
	require.NoError(tb, err)
	require.Equal(tb, want, info.Mode().Perm())
}

func TestS25_OpenRefusesADirectoryThatOthersMayEnterUnlessToldOtherwise(t *testing.T) {
	kv, dir := open(t, Config{})
	require.NoError(t, kv.Close())
	require.NoError(t, os.Chmod(dir, 0o750))
	_, err := Open(dir, Config{})
	require.ErrorContains(t, err, "mode 0750")
	requireMode(t, 0o750, dir)

	kv, err = Open(dir, Config{AnyMode: true})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
	requireMode(t, 0o750, dir)
}

func TestS25_OpenFailsAtOnceWhileTheDirectoryIsInUse(t *testing.T) {
	kv, dir := open(t, Config{})
	before := descriptors(t, dir)
	_, err := Open(dir, Config{})
	require.ErrorIs(t, err, syscall.EWOULDBLOCK)
	require.ErrorContains(t, err, dir+" is in use")
	require.Equal(t, before, descriptors(t, dir), "a failed Open leaves no descriptor")

	require.NoError(t, kv.Close())
	kv, err = Open(dir, Config{})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
	require.Zero(t, descriptors(t, dir))
}

func TestS25_OpenLeavesBadgersOwnLockOn(t *testing.T) {
	kv, _ := open(t, Config{})
	require.False(t, kv.db.Opts().BypassLockGuard)
}

func TestS25_OpenRefusesWhatIsNotADirectory(t *testing.T) {
	dir := t.TempDir()
	file, target, link := filepath.Join(dir, "file"), filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink(target, link))
	for path, words := range map[string]string{link: "symbolic link", file: "not a directory", "": "empty"} {
		_, err := Open(path, Config{})
		require.ErrorContains(t, err, words)
	}
	_, err := Open(filepath.Join(file, "below"), Config{})
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = os.Lstat(target)
	require.ErrorIs(t, err, os.ErrNotExist, "the link was not followed")
}

func TestOpenRefusesADiskBelowMinFree(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "store"), Config{MinFree: 1 << 62})
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorContains(t, err, "bytes free")
}

func TestOpenReportsADamagedDatabase(t *testing.T) {
	kv, dir := open(t, Config{})
	require.NoError(t, kv.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("garbage garbage"), 0o600))
	_, err := Open(dir, Config{})
	require.ErrorContains(t, err, "cannot open "+dir)
	require.Zero(t, descriptors(t, dir), "a failed Open leaves no descriptor")
}

func TestS32_InvalidArgumentsAreErrors(t *testing.T) {
	_, err := New(nil, Config{})
	require.ErrorContains(t, err, "nil")
	_, err = Open(filepath.Join(t.TempDir(), "x"), Config{MaxValue: -1, Namespace: strings.Repeat("\xff", 256)})
	require.ErrorContains(t, err, "MaxValue")
	require.ErrorContains(t, err, "at most 255")
	require.ErrorContains(t, err, "UTF-8")

	_, db := borrow(t, Config{})
	require.NoError(t, db.Close())
	_, err = New(db, Config{})
	require.ErrorIs(t, err, badger.ErrDBClosed)

	managed, err := badger.OpenManaged(badger.DefaultOptions(t.TempDir()).WithLogger(nil).WithMemTableSize(8 << 20))
	require.NoError(t, err)
	defer func() { require.NoError(t, managed.Close()) }()
	_, err = New(managed, Config{})
	require.ErrorContains(t, err, "managed")

	memory, err := badger.Open(badger.DefaultOptions("").WithInMemory(true).WithLogger(nil).WithMemTableSize(8 << 20))
	require.NoError(t, err)
	defer func() { require.NoError(t, memory.Close()) }()
	_, err = New(memory, Config{})
	require.ErrorContains(t, err, "memkv")
}

func TestS1_StoresOfOneDatabaseDoNotSeeEachOther(t *testing.T) {
	ctx := t.Context()
	a, db := borrow(t, Config{Namespace: "a"})
	// Without the length in front, "a" + "b..." and "ab" + "..." would be one.
	for _, namespace := range []string{"ab", "badger!", strings.Repeat("n", '!'), strings.Repeat("n", 255)} {
		b, err := New(db, Config{Namespace: namespace})
		require.NoError(t, err)
		require.NoError(t, a.SetRaw(ctx, "b", []byte("of a")))
		require.NoError(t, b.SetRaw(ctx, "k", []byte("of b")))
		_, err = b.GetRaw(ctx, "b")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		keys, err := a.List(ctx, "")
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, keys)
		keys, err = b.List(ctx, "")
		require.NoError(t, err)
		require.Equal(t, []string{"k"}, keys)
		require.NoError(t, b.Close())
	}
	require.NoError(t, a.Health(ctx), "closing one store leaves the borrowed database open")
}

func TestS1_NoNamespaceReachesTheKeysOfBadger(t *testing.T) {
	ctx := t.Context()
	_, db := borrow(t, Config{})
	// The length of this one is the byte '!', so that "!badger!" would begin
	// its keys if nothing stood in front.
	kv, err := New(db, Config{Namespace: "badger!" + strings.Repeat("n", '!'-len("badger!"))})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	require.NoError(t, kv.SetRaw(ctx, "k", nil))
}

func TestWhatWasAcknowledgedIsThereAfterReopening(t *testing.T) {
	ctx := t.Context()
	kv, dir := open(t, Config{Namespace: "n"})
	large := make([]byte, 3<<20) // kept in the value log
	require.NoError(t, kv.SetRaw(ctx, "kept", nil))
	require.NoError(t, kv.BatchSetRaw(ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2"), "large": large}))
	require.NoError(t, kv.Delete(ctx, "a"))
	require.NoError(t, kv.Close())

	kv, err := Open(dir, Config{Namespace: "n"})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "kept", "large"}, keys)
	value, err := kv.GetRaw(ctx, "kept")
	require.NoError(t, err)
	require.Equal(t, []byte{}, value)
	value, err = kv.GetRaw(ctx, "large")
	require.NoError(t, err)
	require.Equal(t, large, value)
}

func TestOpenSyncsEveryWriteUnlessToldOtherwise(t *testing.T) {
	kv, _ := open(t, Config{})
	require.True(t, kv.db.Opts().SyncWrites)
	kv, _ = open(t, Config{NoSync: true})
	require.False(t, kv.db.Opts().SyncWrites)
}
