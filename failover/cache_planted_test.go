//go:build planted

package failover_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// cacheBugs are the rules of WithCache that are left out one at a time.
var cacheBugs = []struct{ bug, rule string }{
	{"cachesent", "a key is not served while a write of it is under way"},
	{"cacheput", "nor before the cache has taken the new value"},
	{"cachegen", "a fill does not come after a write that its read has not seen"},
	{"cacheunsure", "after an ambiguous write nothing older is served"},
	{"cachefail", "where the cache failed to take a new value nothing older is served"},
	{"cachelate", "a fill that may still reach the cache is never served"},
	{"cacheback", "a key that was written is no longer known to be gone"},
	{"cachemiss", "a miss removes what is cached"},
	{"cacheshared", "of writes side by side none is cached"},
	{"cachelife", "entries of another life have other generations"},
	{"cachestamp", "a value's age counts from before the store was asked"},
	{"cacheage", "nothing older than MaxStale is served"},
}

// TestPlantedCacheBugsAreCaught plays the simulation, with the seeds that pass
// without bugs, against each planted bug until it is noticed.
func TestPlantedCacheBugsAreCaught(t *testing.T) {
	seeds := envInt("HOLDFAST_SEEDS", 20000)
	defer failover.Plant("")
	for _, b := range cacheBugs {
		t.Run(b.bug, func(t *testing.T) {
			failover.Plant(b.bug)
			_, seed, found := playCache(t, 1, seeds)
			require.NotEmpty(t, found, "not noticed in %d seeds", seeds)
			first, _, _ := strings.Cut(found, "\n")
			fmt.Printf("RESULT kind=planted bug=%s caught_after_seeds=%d rule=%q found=%q\n", b.bug, seed, b.rule, first)
		})
	}
}
