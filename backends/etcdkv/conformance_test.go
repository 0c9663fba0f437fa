package etcdkv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAnOpenedStoreObeysTheContract(t *testing.T) {
	server := servertest.InMemory(t, servertest.Etcd)
	stores := 0
	reopen := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := etcdkv.Open([]string{server.Addr()}, etcdkv.Config{
			Namespace:   fmt.Sprint("store-", stores),
			Timeout:     2 * time.Minute, // 70,000 keys are one call
			DialTimeout: time.Minute,
			Canary:      stores%2 == 0,
		})
		require.NoError(tb, err)
		return kv
	}
	kvtest.RunDecorated(t, kvtest.Harness{
		Reopen: reopen,
		Second: reopen,
		Open: func(tb testing.TB) resilient.KVWithHealth {
			stores++
			return reopen(tb)
		},
	})
}
