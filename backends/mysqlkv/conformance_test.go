package mysqlkv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAStoreOnARealServerObeysTheContract(t *testing.T) {
	server := servertest.InMemory(t, servertest.MySQL)
	var opened int
	again := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := mysqlkv.Open(servertest.MySQLDSN(server), mysqlkv.Config{
			Namespace:   fmt.Sprint("ns_", opened),
			DialTimeout: time.Minute,
			Timeout:     time.Minute, // 70,000 keys, on a machine that does other things
			Canary:      true,
		})
		require.NoError(tb, err)
		return kv
	}
	kvtest.RunDecorated(t, kvtest.Harness{
		Atomic: true,
		Reopen: again,
		Second: again,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			opened++
			return again(tb)
		},
	})
}
