package backends_test

import (
	"testing"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
	"github.com/stretchr/testify/require"
)

// kinds are all backends that keep their data.
var kinds = []string{"bolt", "redis", "postgres", "mysql"}

// TestNoTwoBackendsCanBeToldApart: failing over from one store to another
// changes nothing that a caller can see.
func TestNoTwoBackendsCanBeToldApart(t *testing.T) {
	places := map[string]*place{}
	for _, kind := range kinds {
		places[kind] = newPlace(t, kind)
	}
	for i, a := range kinds {
		for _, b := range kinds[i+1:] {
			t.Run(a+" and "+b, func(t *testing.T) { kvtest.RunPair(t, places[a].harness(), places[b].harness()) })
		}
	}
}

// TestEveryBackendIsTheFirstMemberOfAGroup: a group that a remote store leads
// obeys the contract as the store itself does.
func TestEveryBackendIsTheFirstMemberOfAGroup(t *testing.T) {
	for _, kind := range kinds[1:] {
		t.Run(kind+" then bolt", func(t *testing.T) {
			first, second := newPlace(t, kind), newPlace(t, "bolt")
			kvtest.Run(t, kvtest.Harness{
				SkipKeys: first.skip,
				Open: func(tb testing.TB) resilient.KVWithHealth {
					group, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true},
						first.open(tb, fresh()), second.open(tb, fresh()))
					require.NoError(tb, err)
					return group
				},
			})
		})
	}
}
