package badgerkv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	// badger ends the process if it cannot write its tables on Close.
	putBack := func(tb testing.TB, dir string) {
		tb.Cleanup(func() { require.NoError(tb, errors.Join(os.RemoveAll(dir), os.Rename(dir+".old", dir))) })
	}
	compattest.Run(t, compattest.Section{
		Backend:  "badgerkv",
		Versions: "badger v4.9.6",
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, 16 MiB by default"},
			{Name: "Keys refused", Text: "none of the contract's domain"},
			{Name: "A batch", Text: "is not atomic: what does not fit into one of badger's transactions is split"},
			{Name: "An acknowledged write survives", Text: "the machine: `SyncWrites`. With `Config.NoSync` the process only"},
			{Name: "Set on the driver", Text: "`SyncWrites`, 3 memtables of 16 MiB, 32 MiB of block cache, value logs of 128 MiB, 2 compactors, no conflict detection, no metrics, no log"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, _ := open(tb, Config{})
				return kv
			}},
			{Name: "the folder was moved away", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, dir := open(tb, Config{})
				require.NoError(tb, os.Rename(dir, dir+".old"))
				putBack(tb, dir)
				return kv
			}},
			{Name: "another folder is in its place", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, dir := open(tb, Config{})
				require.NoError(tb, errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700)))
				putBack(tb, dir)
				return kv
			}},
			{Name: "the disk is full", Produce: func(tb testing.TB) resilient.KVWithHealth {
				disk := smallDisk(tb, "size=352m")
				kv, err := Open(filepath.Join(disk, "store"), Config{})
				require.NoError(tb, err)
				tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
				require.NoError(tb, os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 96<<20), 0o600))
				tb.Cleanup(func() { require.NoError(tb, os.Remove(filepath.Join(disk, "ballast"))) }) // before Close
				return kv
			}},
			{Name: "opened read-only", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, dir := open(tb, Config{})
				require.NoError(tb, kv.Close())
				db, err := badger.Open(badger.DefaultOptions(dir).WithReadOnly(true).WithLogger(nil))
				require.NoError(tb, err)
				kv, err = New(db, Config{})
				require.NoError(tb, err)
				tb.Cleanup(func() { require.NoError(tb, errors.Join(kv.Close(), db.Close())) })
				return kv
			}},
			{Name: "its owner closed the database", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, db := borrow(tb, Config{})
				require.NoError(tb, db.Close())
				return kv
			}},
		},
	})
}
