package consulkv

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestAnOpenedStoreObeysTheContract(t *testing.T) {
	server := servertest.InMemory(t, servertest.Consul)
	var (
		count int
		last  Config
	)
	again := func(tb testing.TB) resilient.KVWithHealth {
		tb.Helper()
		kv, err := Open(server.Addr(), last)
		require.NoError(tb, err)
		return kv
	}
	kvtest.RunDecorated(t, kvtest.Harness{
		Open: func(tb testing.TB) resilient.KVWithHealth {
			count++
			// A batch of 70,000 keys is a thousand transactions, each on the disk.
			last = Config{Namespace: fmt.Sprintf("contract-%d", count), Timeout: 2 * time.Minute, DialTimeout: patience}
			return again(tb)
		},
		Reopen: again,
		Second: again,
	})
}
