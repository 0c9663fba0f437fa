package kvtest

import (
	"testing"

	"github.com/holdfastkv/holdfast/resilient"
)

// Harness says how to get the store under test and what it promises beyond the
// contract.
type Harness struct {
	// Open returns an empty store that no other call of Open has returned. The
	// suite closes it. What the store keeps on disk or on a server goes when tb
	// ends: use tb.TempDir and tb.Cleanup. Required.
	Open func(tb testing.TB) resilient.KVWithHealth
	// Reopen opens what the last Open returned once more, after the suite has
	// closed it. nil = the store is not durable.
	Reopen func(tb testing.TB) resilient.KVWithHealth
	// Second returns a second client of what the last Open returned, which is
	// still open. nil = a store has one client only.
	Second func(tb testing.TB) resilient.KVWithHealth
	// Atomic says that a batch write is applied in one step or not at all.
	Atomic bool
	// SkipKeys reports whether the store may refuse key, one of the contract's
	// domain, with ErrInvalidKey; the suite then checks that it does so before
	// any effect, or serves it. nil = it refuses none.
	SkipKeys func(key string) bool
	// Small says that the large cases are as with -short, for a store that would
	// need minutes for 70,000 keys.
	Small bool
}

// Run checks that a store obeys the contract of resilient.KV, batches included
// if it is a Batcher. Its subtests are independent of each other and open a
// store each. Failing ones are named after the promise that is broken.
//
// The large cases (70,000 keys, 10 MB) are smaller with -short; none is left
// out. The leak cases look at the whole process: no test may run in parallel to
// Run. The smallest value that a store must take is 512 KiB; what it does at its
// own limit is checked if Limits tells one of at most 16 MiB.
func Run(t *testing.T, h Harness) {
	t.Helper()
	runSuite(t, h, testing.Short() || h.Small)
}

func runSuite(t *testing.T, h Harness, short bool) {
	t.Helper()
	for _, g := range suite(t, h) {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					c.run(newEnv(t, h, short))
				})
			}
		})
	}
}

// group is some cases about one thing.
type group struct {
	name  string
	cases []testCase
}

// testCase is one promise of the contract.
type testCase struct {
	name string
	run  func(*env)
}

// abilities are what decides which cases apply.
type abilities struct {
	batcher bool
	limits  resilient.Limits
}

// suite returns the cases that apply to h.
func suite(tb testing.TB, h Harness) []group {
	if h.Open == nil {
		tb.Fatal("kvtest: Harness.Open is nil")
	}
	kv := h.Open(tb)
	if kv == nil {
		tb.Fatal("kvtest: Harness.Open returned no store")
	}
	var can abilities
	_, can.batcher = kv.(resilient.Batcher)
	if l, ok := kv.(resilient.Limited); ok {
		can.limits = l.Limits()
	}
	if err := kv.Close(); err != nil {
		tb.Fatalf("kvtest: Close of a store that was not used: %v", err)
	}
	return []group{
		{"Basic", basicCases(h)},
		{"EmptyKey", emptyKeyCases(can)},
		{"Values", valueCases(can)},
		{"Ownership", ownershipCases(can)},
		{"Keys", keyCases(can)},
		{"List", listCases()},
		{"Batch", batchCases(h, can)},
		{"Context", contextCases(can)},
		{"Lifecycle", lifecycleCases(h, can)},
		{"Health", healthCases()},
		{"Errors", errorCases(can)},
		{"Concurrency", concurrencyCases(can)},
		{"Model", modelCases()},
	}
}

// when returns cases if ok.
func when(ok bool, cases ...testCase) []testCase {
	if ok {
		return cases
	}
	return nil
}
