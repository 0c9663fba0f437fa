package boltkv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	compattest.Run(t, compattest.Section{
		Backend:  "boltkv",
		Versions: "bbolt v1.5.0",
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, 16 MiB by default"},
			{Name: "Keys refused", Text: "none of the contract's domain, but a key at which somebody else has nested a bucket"},
			{Name: "A batch", Text: "is atomic: one transaction"},
			{Name: "An acknowledged write survives", Text: "the machine: two `fdatasync` calls a commit. With `Config.NoSync` the process only"},
			{Name: "Set on the driver", Text: "a lock timeout (bbolt waits for ever), mode 0600, the hashmap freelist, no statistics"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, _ := open(tb, Config{})
				return kv
			}},
			{Name: "the file was deleted", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, path := open(tb, Config{})
				require.NoError(tb, os.Remove(path))
				return kv
			}},
			{Name: "another file is in its place", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, path := open(tb, Config{})
				require.NoError(tb, os.Rename(path, path+".old"))
				require.NoError(tb, os.WriteFile(path, nil, 0o600))
				return kv
			}},
			{Name: "the bucket was deleted", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, db := borrow(tb, Config{}, nil)
				require.NoError(tb, db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(kv.bucket) }))
				return kv
			}},
			{Name: "the disk is full", Produce: func(tb testing.TB) resilient.KVWithHealth {
				dir := smallDisk(tb, 2<<20)
				kv, err := Open(filepath.Join(dir, "store.db"), Config{MinFree: 1 << 20})
				require.NoError(tb, err)
				tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
				require.NoError(tb, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600))
				return kv
			}},
			{Name: "opened read-only", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, path := open(tb, Config{})
				require.NoError(tb, kv.Close())
				kv, err := Open(path, Config{ReadOnly: true})
				require.NoError(tb, err)
				tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
				return kv
			}},
			{Name: "its owner closed the database", Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv, db := borrow(tb, Config{}, nil)
				require.NoError(tb, db.Close())
				return kv
			}},
		},
	})
}
