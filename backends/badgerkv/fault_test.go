package badgerkv

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestS27_ADeletedOrReplacedDirectoryIsUnhealthyAndTakesNoWrites(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"moved away": func(dir string) error { return os.Rename(dir, dir+".old") },
		"replaced": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			kv, dir := open(t, Config{})
			require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
			require.NoError(t, kv.Health(ctx))
			require.NoError(t, damage(dir))
			for _, err := range []error{kv.Health(ctx), kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"})} {
				require.ErrorIs(t, err, resilient.ErrRefused)
			}
			value, err := kv.GetRaw(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "v", string(value))
			// badger ends the process if it cannot write its tables on Close.
			require.NoError(t, errors.Join(os.RemoveAll(dir), os.Rename(dir+".old", dir)))
			require.NoError(t, kv.Health(ctx))
		})
	}
}

func TestRegression_TheDiskOfABorrowedDatabasesValueLogWasNotLookedAt(t *testing.T) {
	ctx := t.Context()
	values := filepath.Join(t.TempDir(), "values")
	db, err := badger.Open(badger.DefaultOptions(t.TempDir()).WithValueDir(values).WithLogger(nil))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	kv, err := New(db, Config{})
	require.NoError(t, err)
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
	require.NoError(t, kv.Health(ctx))
	require.NoError(t, os.Rename(values, values+".old"))
	for _, err := range []error{kv.Health(ctx), kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"})} {
		require.ErrorIs(t, err, resilient.ErrRefused)
	}
	require.NoError(t, os.Rename(values+".old", values))
	require.NoError(t, kv.Health(ctx))
	require.NoError(t, kv.Close())

	kv, err = New(db, Config{MinFree: 1 << 60})
	require.NoError(t, err)
	require.Len(t, kv.disks, 2)
	for _, disk := range kv.disks {
		require.ErrorIs(t, disk.CheckSpace(0), resilient.ErrRefused)
	}
	require.NoError(t, kv.Close())
}

func TestADatabaseThatItsOwnerClosesIsUnavailable(t *testing.T) {
	ctx := t.Context()
	kv, db := borrow(t, Config{})
	require.NoError(t, db.Close())
	_, getErr := kv.GetRaw(ctx, "k")
	_, listErr := kv.List(ctx, "")
	for _, err := range []error{getErr, listErr, kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"}), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorIs(t, err, badger.ErrDBClosed)
		require.Equal(t, resilient.Refused, kv.Classify(err))
	}
}

func TestAReadOnlyDatabaseServesReadsAndSaysThatItIsReadOnly(t *testing.T) {
	ctx := t.Context()
	kv, dir := open(t, Config{})
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
	require.NoError(t, kv.Close())
	db, err := badger.Open(badger.DefaultOptions(dir).WithReadOnly(true).WithLogger(nil))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	kv, err = New(db, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	value, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(value))
	for _, err := range []error{kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"}), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
	}
}

func TestAWriteThatBadgerTurnsAwayIsRefused(t *testing.T) {
	kv, _ := borrow(t, Config{})
	err := kv.commitError(badger.ErrBlockedWrites) // what writes get during a DropAll
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, badger.ErrBlockedWrites)
	require.NoError(t, kv.Health(t.Context()), "it does not break the store")
}

func TestS11_ErrorsOfBadgerThatMayHoldKeysAreNotPrinted(t *testing.T) {
	ctx := t.Context()
	kv, _ := borrow(t, Config{})
	secret := errors.New("DB::Get key: \"SECRET\": read failed")
	for _, err := range []error{kv.refused(secret), kv.commitError(secret), kv.view(func(*badger.Txn) error { return secret })} {
		require.ErrorIs(t, err, secret)
		require.NotContains(t, err.Error(), "SECRET")
	}
	panicked := kv.view(func(*badger.Txn) error { panic("SECRET") })
	require.ErrorIs(t, panicked, resilient.ErrUnavailable)
	require.NotContains(t, panicked.Error(), "SECRET")
	require.NotContains(t, kv.Health(ctx).Error(), "SECRET")
}

func TestACommitOfDoubtfulOutcomeIsAmbiguousAndBreaksTheStore(t *testing.T) {
	ctx := t.Context()
	kv, _ := borrow(t, Config{})
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
	err := kv.commitError(badger.ErrConflict)
	require.Equal(t, resilient.Conflict, kv.Classify(err))
	require.NoError(t, kv.Health(ctx), "a conflict does not break the store")

	err = kv.commitError(io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Failed, kv.Classify(err))
	for _, err := range []error{kv.SetRaw(ctx, "k", nil), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorContains(t, err, "opened anew")
	}
	_, err = kv.GetRaw(ctx, "k")
	require.NoError(t, err, "reads go on")
}

func TestAValueLogThatCannotBeSyncedBreaksTheStore(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{})
	logger := kv.db.Opts().Logger
	logger.Errorf("error flushing memtable to disk: %v, retrying", io.ErrUnexpectedEOF)
	require.NoError(t, kv.Health(ctx))
	logger.Errorf("Error while curlf sync: %v\n", io.ErrUnexpectedEOF) // as badger's value.go has it
	require.ErrorIs(t, kv.Health(ctx), io.ErrUnexpectedEOF)
	require.ErrorIs(t, kv.SetRaw(ctx, "k", nil), resilient.ErrRefused)
}

func TestTheMessageThatTheListenerWaitsForIsInBadger(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/dgraph-io/badger/v4").Output()
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join(string(out[:len(out)-1]), "value.go"))
	require.NoError(t, err)
	require.Contains(t, string(source), `Errorf("`+syncFailed)
}
