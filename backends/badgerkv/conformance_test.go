package badgerkv_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAnOpenedStoreObeysTheContract(t *testing.T) {
	var dir string // of the last store opened
	reopen := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := badgerkv.Open(dir, badgerkv.Config{})
		require.NoError(tb, err)
		return kv
	}
	kvtest.Run(t, kvtest.Harness{
		Reopen: reopen,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			dir = filepath.Join(servertest.InMemoryFolder(tb), "store")
			return reopen(tb)
		},
	})
}
