package boltkv

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestS24_OpenMakesAFileThatOnlyItsOwnerMayRead(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	_, path := open(t, Config{})
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestS24_OpenFailsWithinASecondWhileTheFileIsLocked(t *testing.T) {
	_, path := open(t, Config{})
	before := descriptors(t, filepath.Dir(path))
	for _, wait := range []time.Duration{0, -1, 100 * time.Millisecond} {
		done := make(chan error, 1)
		go func() {
			_, err := Open(path, Config{LockTimeout: wait})
			done <- err
		}()
		select {
		case err := <-done:
			require.ErrorIs(t, err, berrors.ErrTimeout)
			require.ErrorContains(t, err, "is in use")
		case <-time.After(patience): // far over a second: only a wait without end fails
			require.Fail(t, "Open waits for the lock without end")
		}
	}
	require.Equal(t, before, descriptors(t, filepath.Dir(path)), "a failed Open leaves no descriptor")
}

func TestS24_OpenRefusesWhatIsNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	target, link, fifo := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))

	for path, words := range map[string]string{link: "symbolic link", dir: "directory", fifo: "not a regular file", "": "empty"} {
		_, err := Open(path, Config{})
		require.ErrorContains(t, err, words)
	}
	_, err := os.Lstat(target)
	require.ErrorIs(t, err, os.ErrNotExist, "the link was not followed")
	require.Zero(t, descriptors(t, dir))
}

func TestOpenReportsAFileItCannotUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600))
	_, err := Open(path, Config{})
	require.ErrorContains(t, err, path)
	_, err = Open(filepath.Join(path, "below"), Config{})
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = Open(filepath.Join(dir, "absent", "x"), Config{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Zero(t, descriptors(t, dir), "a failed Open leaves no descriptor")
}

func TestS32_InvalidArgumentsAreErrors(t *testing.T) {
	_, err := New(nil, Config{})
	require.ErrorContains(t, err, "nil")

	path := filepath.Join(t.TempDir(), "x.db")
	_, err = Open(path, Config{MaxValue: -1, Namespace: strings.Repeat("n", bbolt.MaxKeySize+1)})
	require.ErrorContains(t, err, "MaxValue")
	require.ErrorContains(t, err, "Namespace")

	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = New(db, Config{})
	require.ErrorIs(t, err, berrors.ErrDatabaseNotOpen)
}

func TestRegression_AStoreWithTheNameOfAJournalCouldNotBeOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	cfg := Config{Namespace: string(journalBucket)}
	kv, err := Open(path, cfg)
	if err == nil { // then its keys must be there the next time
		require.NoError(t, kv.Close())
		kv, err = Open(path, cfg)
		require.NoError(t, err)
		require.NoError(t, kv.Close())
	}
	require.ErrorContains(t, err, "Config.Namespace")
	require.NoFileExists(t, path)
}

func TestS1_StoresOfOneFileDoNotSeeEachOther(t *testing.T) {
	ctx := t.Context()
	a, db := borrow(t, Config{Namespace: "a"}, nil)
	b, err := New(db, Config{Namespace: "ab"})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()

	require.NoError(t, a.SetRaw(ctx, "b", []byte("of a")))
	require.NoError(t, b.SetRaw(ctx, "k", []byte("of b")))
	_, err = b.GetRaw(ctx, "b")
	require.ErrorIs(t, err, resilient.ErrNotFound)
	keys, err := a.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, keys)
	require.NoError(t, a.Close())
	require.NoError(t, b.Health(ctx), "closing one store leaves the borrowed database open")
}

func TestWhatWasAcknowledgedIsThereAfterReopening(t *testing.T) {
	ctx := t.Context()
	kv, path := open(t, Config{Namespace: "n"})
	require.NoError(t, kv.SetRaw(ctx, "kept", nil))
	require.NoError(t, kv.BatchSetRaw(ctx, map[string][]byte{"a": []byte("1"), "b": []byte("2")}))
	require.NoError(t, kv.Delete(ctx, "a"))
	require.NoError(t, kv.Close())

	kv, err := Open(path, Config{Namespace: "n"})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "kept"}, keys)
	value, err := kv.GetRaw(ctx, "kept")
	require.NoError(t, err)
	require.Equal(t, []byte{}, value)
}

func TestAReadOnlyStoreServesReadsAndSaysThatItIsReadOnly(t *testing.T) {
	ctx := t.Context()
	kv, path := open(t, Config{})
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
	require.NoError(t, kv.Close())

	_, err := Open(path, Config{ReadOnly: true, Namespace: "never made"})
	require.ErrorIs(t, err, berrors.ErrBucketNotFound)

	kv, err = Open(path, Config{ReadOnly: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	value, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(value))
	for _, err := range []error{kv.SetRaw(ctx, "k", nil), kv.Delete(ctx, "k"), kv.BatchDelete(ctx, []string{"k"}), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, err, berrors.ErrDatabaseReadOnly)
	}
}

func TestRegression_AStoreOpenedAtTheJournalsPathDestroysTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owed.db")
	use := func() error {
		journal, err := boltjournal.Open(path, boltjournal.Config{})
		if err != nil {
			return err
		}
		_, err = journal.Open([]string{"first"})
		return errors.Join(err, journal.Close(true))
	}
	require.NoError(t, use())
	_, err := Open(path, Config{})
	require.ErrorContains(t, err, "is a journal of package boltjournal")
	require.NoError(t, use())
}
