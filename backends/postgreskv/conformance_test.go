package postgreskv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAStoreOnARealServerObeysTheContract(t *testing.T) {
	s := servertest.InMemory(t, servertest.Postgres)
	var namespace string // of the last store opened
	again := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		// The default of 5s is not for 70,000 keys on a machine that does other things.
		kv, err := Open(servertest.PostgresURL(s), Config{Namespace: namespace, DialTimeout: patience, Timeout: patience, StatementTimeout: patience})
		require.NoError(tb, err)
		return kv
	}
	kvtest.RunDecorated(t, kvtest.Harness{
		Atomic: true,
		Reopen: again,
		Second: again,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			namespace = freshNamespace()
			return again(tb)
		},
	})
}
