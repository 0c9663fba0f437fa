package failover_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// rapidDice is a cacheDice that rapid can shrink.
type rapidDice struct{ t *rapid.T }

func (d rapidDice) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(d.t, what) }

// cacheTally is what happened in many simulations.
type cacheTally struct{ cases, ops, stale int }

func (c *cacheTally) add(s *cacheSim) {
	c.cases++
	c.ops += s.n
	c.stale += len(s.stale)
}

// valid demands that the cache was needed.
func (c *cacheTally) valid(t *testing.T, kind string) {
	fmt.Printf("RESULT kind=%s cases=%d ops=%d stale_answers=%d wrong_reads=0\n", kind, c.cases, c.ops, c.stale)
	require.Greater(t, c.stale, c.cases/4, "invalid: hardly any answers of the cache")
}

// violations plays s and returns what was wrong, with all that happened.
func (s *cacheSim) violations() string {
	if err := s.play(); err != nil {
		s.bad("%v", err)
	}
	if len(s.faults) == 0 {
		return ""
	}
	return strings.Join(s.faults, "\n") + "\n" + strings.Join(s.trace, "\n")
}

// Random scripts of calls, faults and other processes' writes: whatever store
// and cache do, no stale answer is older than the process's own last
// acknowledged write or miss, or older than it says and MaxStale allows, and
// none is late.
func TestAProcessNeverReadsWhatItsOwnWriteHasReplaced(t *testing.T) {
	var sum cacheTally
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			s := newCacheSim(rapidDice{t})
			if found := s.violations(); found != "" {
				t.Fatal(found)
			}
			sum.add(s)
		})
	})
	sum.valid(t, "cache-property")
}

// playCache plays simulations with seeds from first on until one finds
// something.
func playCache(t *testing.T, first, seeds uint64) (sum cacheTally, bad uint64, found string) {
	for seed := first; seed < first+seeds && found == ""; seed++ {
		synctest.Test(t, func(*testing.T) {
			s := newCacheSim(seededDice{rand.New(rand.NewPCG(seed, 1))})
			found = s.violations()
			sum.add(s)
		})
		bad = seed
	}
	return sum, bad, found
}

// TestSimulation_CachedStore is the same with seeds, which spread more evenly
// than what rapid draws. HOLDFAST_SEED and HOLDFAST_SEEDS choose them.
func TestSimulation_CachedStore(t *testing.T) {
	sum, bad, found := playCache(t, envInt("HOLDFAST_SEED", 1), envInt("HOLDFAST_SEEDS", 300))
	require.Empty(t, found, "repeat: HOLDFAST_SEED=%d HOLDFAST_SEEDS=1 go test -run '%s' ./failover", bad, t.Name())
	sum.valid(t, "cache-simulation")
}
