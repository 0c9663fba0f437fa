package failover_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSimulation_NothingAcknowledgedIsLost plays every scenario with seeded
// faults. HOLDFAST_SEED and HOLDFAST_SEEDS choose the first seed and how many
// of each scenario.
func TestSimulation_NothingAcknowledgedIsLost(t *testing.T) {
	first, seeds := envInt("HOLDFAST_SEED", 1), envInt("HOLDFAST_SEEDS", 25)
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			v := play(t, sc, first, seeds)
			fmt.Printf("RESULT kind=simulation mode=%s clients=%d %v\n", sc.name, simClients, v)
			require.Zero(t, v.bad, "%s\nrepeat: HOLDFAST_SEED=%d HOLDFAST_SEEDS=1 go test -run '%s' ./failover", v.text, v.bad, t.Name())
			require.Positive(t, v.switches, "invalid: no switch")
			require.Positive(t, v.overlaps, "invalid: no write overlapped with a fault")
			require.Equal(t, sc.deaths > 0, v.crashes > 0, "invalid: crashes")
		})
	}
}

func envInt(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}
