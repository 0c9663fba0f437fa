package memkv_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	open := func(tb testing.TB, cfg memkv.Config) *memkv.KV {
		kv, err := memkv.New(cfg)
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
		return kv
	}
	compattest.Run(t, compattest.Section{
		Backend:  "memkv",
		Versions: "golang-lru v2.0.7",
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, by default what fits into `Config.MaxBytes`, any size without it"},
			{Name: "Keys refused", Text: "none of the contract's domain"},
			{Name: "A batch", Text: "is atomic"},
			{Name: "An acknowledged write survives", Text: "nothing; with `Config.MaxBytes` the least recently used keys are dropped as well"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth { return open(tb, memkv.Config{}) }},
			{Name: "filled to `Config.MaxBytes`", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv := open(tb, memkv.Config{MaxBytes: 10_000})
				for i := range 100 {
					require.NoError(tb, kv.SetRaw(tb.Context(), fmt.Sprintf("key-%03d", i), make([]byte, 1000)))
				}
				return kv
			}},
		},
	})
}
