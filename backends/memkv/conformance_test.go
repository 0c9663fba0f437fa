package memkv_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func harness(cfg memkv.Config) kvtest.Harness {
	return kvtest.Harness{Atomic: true, Open: func(tb testing.TB) resilient.KVWithHealth {
		kv, err := memkv.New(cfg)
		require.NoError(tb, err)
		return kv
	}}
}

func TestUnboundedStoreObeysTheContractBareAndDecorated(t *testing.T) {
	kvtest.RunDecorated(t, harness(memkv.Config{}))
}

func TestBoundedStoreObeysTheContract(t *testing.T) {
	kvtest.Run(t, harness(memkv.Config{MaxBytes: 64 << 20, MaxValue: 4 << 20}))
}

func TestBoundedAndUnboundedStoreCannotBeToldApart(t *testing.T) {
	kvtest.RunPair(t, harness(memkv.Config{}), harness(memkv.Config{MaxBytes: 64 << 20}))
}
