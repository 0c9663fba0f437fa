package consulkv

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

func TestEveryBatchFitsWhatConsulTakes(t *testing.T) {
	server := servertest.Consul(t)
	for name, c := range map[string]struct {
		count, key, value int
	}{
		"transactions full of keys that grow":  {200, 512, 0},
		"transactions as full as they may be":  {200, 512, maxBatch/maxOps - 512},
		"transactions full of values":          {100, 8, maxBatch/10 - 8},
		"two values to a transaction":          {5, 8, maxBatch/2 - 8},
		"values that fit no transaction":       {3, 8, maxBatch},
		"values as large as they may be":       {3, 512, defaultMaxValue},
		"a key more than fits one transaction": {maxOps + 1, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			kv := open(t, server.Addr(), Config{Namespace: strings.Repeat("n", 128), Timeout: patience})
			batch := map[string][]byte{}
			for i := range c.count {
				key := fmt.Sprintf("%06d", i) + strings.Repeat("é", (c.key-6)/2)
				require.Len(t, key, c.key)
				batch[key] = []byte(strings.Repeat(string(rune('a'+i%26)), c.value))
			}
			require.NoError(t, kv.BatchSetRaw(t.Context(), batch))
			keys, err := kv.List(t.Context(), "")
			require.NoError(t, err)
			require.Len(t, keys, c.count)
			found, err := kv.BatchGetRaw(t.Context(), append(slices.Clone(keys), "missing"))
			require.NoError(t, err)
			require.Equal(t, batch, found)
			require.NoError(t, kv.BatchDelete(t.Context(), keys))
			keys, err = kv.List(t.Context(), "")
			require.NoError(t, err)
			require.Empty(t, keys)
		})
	}
}
