package boltkv_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAnOpenedStoreObeysTheContract(t *testing.T) {
	var path string // of the last store opened
	reopen := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := boltkv.Open(path, boltkv.Config{})
		require.NoError(tb, err)
		return kv
	}
	kvtest.Run(t, kvtest.Harness{
		Atomic: true,
		Reopen: reopen,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			path = filepath.Join(servertest.InMemoryFolder(tb), "store.db")
			return reopen(tb)
		},
	})
}
