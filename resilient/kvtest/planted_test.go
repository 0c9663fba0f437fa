package kvtest

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

// mistake is one of a real store, with the path of a case that must fail of it.
// Where end is closed the test is over: what a mistake left behind must end then.
type mistake struct {
	name  string
	path  string
	twist func(w *twisted, end <-chan struct{})
}

// planted are all of them.
var planted = slices.Concat(
	plantedBasics,
	plantedOwnership,
	plantedKeys,
	plantedLists,
	plantedBatches,
	plantedContexts,
	plantedLifecycle,
	plantedHealth,
	plantedErrors,
	plantedConcurrency,
)

// twistedHarness opens stores that are twisted, and ends what they left behind
// with the test.
func twistedHarness(t *testing.T, twist func(*twisted, <-chan struct{})) Harness {
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	return Harness{Atomic: true, Open: func(tb testing.TB) resilient.KVWithHealth {
		kv, err := memkv.New(memkv.Config{MaxValue: 2 << 20})
		require.NoError(tb, err)
		w := &twisted{KV: kv}
		twist(w, end)
		return w
	}}
}

func TestTheSuiteCatchesEachPlantedMistake(t *testing.T) {
	// The model test draws its calls: with one seed and as many runs a mistake
	// that it has caught once is caught always.
	runs := "100"
	if testing.Short() {
		runs = "500" // of which rapid leaves a fifth
	}
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": runs} {
		old := flag.Lookup(name).Value.String()
		require.NoError(t, flag.Set(name, value))
		defer func() { require.NoError(t, flag.Set(name, old)) }()
	}
	caught := 0
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			require.NotEmpty(t, runCase(t, twistedHarness(t, p.twist), p.path), "%s passed", p.path)
			caught++
		})
	}
	all := len(planted)
	more, caughtMore := plantedElsewhere(t)
	fmt.Printf("RESULT kind=kvtest planted=%d caught=%d\n", all+more, caught+caughtMore)
}

func TestRegression_AStoreThatServesAfterCloseHoldsUpTheSuite(t *testing.T) {
	said := runCase(t, twistedHarness(t, func(w *twisted, _ <-chan struct{}) {
		w.closeFunc = func() error { return nil }
	}), "Lifecycle/Close_UnblocksInFlight")
	require.Contains(t, said, "a call after Close ended with <nil>, want ErrClosed")
	require.NotContains(t, said, "has not returned")
}

func TestRegression_AHarnessWithoutAStorePanics(t *testing.T) {
	none := Harness{Open: func(testing.TB) resilient.KVWithHealth { return nil }}
	require.Contains(t, record(t, func(tb testing.TB) { suite(tb, none) }), "Harness.Open returned no store")
}

func TestTheSuitePassesAStoreWithoutMistakes(t *testing.T) {
	h := twistedHarness(t, func(*twisted, <-chan struct{}) {})
	for _, g := range suite(t, h) {
		for _, c := range g.cases {
			require.Empty(t, record(t, func(tb testing.TB) { c.run(newEnv(tb, h, true)) }), "%s/%s", g.name, c.name)
		}
	}
}
