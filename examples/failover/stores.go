package main

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// store is one of the two databases.
type store struct {
	name   string
	disk   resilient.KVWithHealth // what is really there, past every fault
	fault  *kvtest.Fault          // the switch that makes it fail
	member resilient.KVWithHealth // what the group is given
}

// newStore puts the switch before disk. Detach lets a caller go on when the
// store hangs: a disk that hangs knows nothing of contexts.
func newStore(name string, disk resilient.KVWithHealth) *store {
	fault := kvtest.NewFault(disk)
	return &store{name: name, disk: disk, fault: fault, member: resilient.Detach(fault, 0)}
}

// open makes both databases in dir.
func open(dir string) (bolt, badger *store, err error) {
	first, err := boltkv.Open(filepath.Join(dir, "bolt.db"), boltkv.Config{})
	if err != nil {
		return nil, nil, err
	}
	second, err := badgerkv.Open(filepath.Join(dir, "badger"), badgerkv.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, first.Close())
	}
	return newStore("bolt", first), newStore("badger", second), nil
}

// journal makes the one for mode strict; in the others what is owed need not
// outlive this program.
func journal(o options, dir string) (failover.Journal, error) {
	if o.writes != failover.MirrorStrict {
		return nil, nil
	}
	return boltjournal.Open(filepath.Join(dir, "journal.db"), boltjournal.Config{})
}

// attempt is how long one attempt at one store may take.
const attempt = 300 * time.Millisecond

// config is shorter than the defaults wherever it waits. They suit a service
// that runs for months and stores that are away for minutes: a check every 5 s,
// 2 s for a call, 5 s of good health before the first store serves again. Here
// an outage lasts seconds, and all of that must fit into it.
func config(o options, observer resilient.Observer) failover.Config {
	return failover.Config{
		Writes:   o.writes,
		Complete: o.writes != failover.Handoff, // both begin empty and get every write: a miss on either is an answer
		Failback: failover.Failback{After: min(time.Second, o.duration/12), MaxAfter: 2 * time.Second},
		Observer: observer,
		Member: resilient.Config{
			Timeout: attempt,
			// Batches and lists are small here and need no more than a key does.
			LongTimeout: attempt,
			Breaker:     breaker.Config{OpenFor: 100 * time.Millisecond, MaxOpenFor: 400 * time.Millisecond},
			Probe: resilient.Probe{
				Interval: 250 * time.Millisecond, FastInterval: 100 * time.Millisecond,
				DownInterval: 100 * time.Millisecond, MaxDownInterval: 300 * time.Millisecond,
				Timeout: attempt,
			},
		},
	}
}
