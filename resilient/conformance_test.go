package resilient_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// keyByKey is a store without batches, whatever it is made of.
type keyByKey struct{ kv resilient.KVWithHealth }

func (k keyByKey) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return k.kv.GetRaw(ctx, key)
}

func (k keyByKey) SetRaw(ctx context.Context, key string, value []byte) error {
	return k.kv.SetRaw(ctx, key, value)
}

func (k keyByKey) Delete(ctx context.Context, key string) error { return k.kv.Delete(ctx, key) }

func (k keyByKey) List(ctx context.Context, prefix string) ([]string, error) {
	return k.kv.List(ctx, prefix)
}

func (k keyByKey) Health(ctx context.Context) error { return k.kv.Health(ctx) }
func (k keyByKey) Close() error                     { return k.kv.Close() }

func TestDecoratorsKeepTheContract(t *testing.T) {
	store := func(tb testing.TB, kv resilient.KVWithHealth, cfg resilient.Config) resilient.KVWithHealth {
		s, err := resilient.Wrap(kv, cfg)
		require.NoError(tb, err)
		return s
	}
	for name, decorate := range map[string]func(testing.TB, resilient.KVWithHealth) resilient.KVWithHealth{
		"Store key by key": func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
			return store(tb, keyByKey{kv}, resilient.Config{})
		},
		"Store of a Store": func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
			return store(tb, store(tb, kv, resilient.Config{}), resilient.Config{Retry: resilient.Retry{Attempts: 3}, MaxInFlight: 1000})
		},
		"Store of Detach": func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
			return store(tb, resilient.Detach(kv, 0), resilient.Config{})
		},
		"KeepOpen": func(_ testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth { return resilient.KeepOpen(kv) },
	} {
		t.Run(name, func(t *testing.T) {
			kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
				kv, err := memkv.New(memkv.Config{})
				require.NoError(tb, err)
				return decorate(tb, kv)
			}})
		})
	}
}
