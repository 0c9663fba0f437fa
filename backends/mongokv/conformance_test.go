package mongokv

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// perDatabase is how many stores of the contract share a database.
const perDatabase = 50

func TestAStoreObeysTheContract(t *testing.T) {
	uri := servertest.FerretDBURI(servertest.InMemory(t, servertest.FerretDB))
	// Each key of a batch is a commit of SQLite's: the default of 5s is not for
	// this, and 70,000 of them would take minutes. FerretDB takes seconds for 15
	// MiB, which it makes JSON of, and a resilient.Store gives it two: the largest
	// value has a test of its own.
	cfg := small(Config{Timeout: 10 * time.Minute, DialTimeout: patience, MaxValue: 1 << 20}) // and the namespace of the last store opened
	opened := 0
	reopen := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := Open(uri, cfg)
		require.NoError(tb, err)
		return kv
	}
	kvtest.RunDecorated(t, kvtest.Harness{
		Small:  true,
		Reopen: reopen,
		Second: reopen,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			// What FerretDB does with a database takes the longer the more
			// collections are in it.
			cfg.Namespace, cfg.Database = namespace(), fmt.Sprint("d", opened/perDatabase)
			opened++
			return reopen(tb)
		},
	})
}
