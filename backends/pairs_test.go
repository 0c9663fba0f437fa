package backends_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// pairs are those that are compared. Stores that give the same answers as bolt
// give the same as each other: of the later ones two pairs are enough.
var pairs = [][2]string{
	{"bolt", "redis"}, {"bolt", "postgres"}, {"bolt", "mysql"},
	{"redis", "postgres"}, {"redis", "mysql"}, {"postgres", "mysql"},
	{"etcd", "bolt"}, {"etcd", "postgres"},
	{"consul", "bolt"}, {"consul", "postgres"},
	{"mongo", "bolt"}, {"mongo", "postgres"},
}

// TestNoTwoBackendsCanBeToldApart: failing over from one store to another
// changes nothing that a caller can see.
func TestNoTwoBackendsCanBeToldApart(t *testing.T) {
	places := map[string]*place{}
	at := func(kind string) *place {
		if places[kind] == nil {
			places[kind] = newCalmPlace(t, kind)
		}
		return places[kind]
	}
	for _, pair := range pairs {
		a, b := at(pair[0]), at(pair[1])
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) { kvtest.RunPair(t, a.harness(), b.harness()) })
	}
}

// TestEveryBackendIsTheFirstMemberOfAGroup: a group that a remote store leads
// obeys the contract as the store itself does. The large cases are those of the
// store, which its own run of the suite has, and of the group, which the runs of
// package failover have.
func TestEveryBackendIsTheFirstMemberOfAGroup(t *testing.T) {
	for _, kind := range []string{"redis", "postgres", "mysql", "etcd", "consul", "mongo"} {
		t.Run(kind+" then bolt", func(t *testing.T) {
			first, second := newCalmPlace(t, kind), newCalmPlace(t, "bolt")
			kvtest.Run(t, kvtest.Harness{
				SkipKeys: first.skip,
				Small:    true,
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
