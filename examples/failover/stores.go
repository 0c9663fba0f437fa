package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// open opens both stores, empty. Files without a path are made in dir.
func open(o options, dir string) (stores []*store, err error) {
	names := map[string]int{}
	for i, url := range []string{o.primary, o.secondary} {
		own := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, errors.Join(err, closeAll(stores))
		}
		name, disk, err := openDisk(url, own)
		if err != nil {
			return nil, errors.Join(err, closeAll(stores))
		}
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, names[name])
		}
		stores = append(stores, newStore(name, disk))
	}
	return stores, nil
}

// closeAll closes stores that no group has been given.
func closeAll(stores []*store) (err error) {
	for _, s := range stores {
		err = errors.Join(err, s.member.Close())
	}
	return err
}

// emptyAll leaves nothing of the example behind.
func emptyAll(stores []*store) (err error) {
	for _, s := range stores {
		if e := empty(s.disk); e != nil {
			err = errors.Join(err, fmt.Errorf("emptying %s: %w", s.name, e))
		}
	}
	return err
}

// journal makes the one for mode strict; in the others what is owed need not
// outlive this program.
func journal(o options, dir string) (failover.Journal, error) {
	if o.writes != failover.MirrorStrict {
		return nil, nil
	}
	return boltjournal.Open(filepath.Join(dir, "journal.db"), boltjournal.Config{})
}

// guard makes a Store of each store, which gives it the name that the group
// knows it by.
func guard(stores []*store, cfg failover.Config) (members []resilient.KVWithHealth, err error) {
	for _, s := range stores {
		c := cfg.Member
		c.Name, c.Observer = s.name, cfg.Observer
		guarded, err := resilient.Wrap(s.member, c)
		if err != nil {
			return nil, err
		}
		s.member = guarded
		members = append(members, guarded)
	}
	return members, nil
}

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
			Timeout: o.timeout,
			// Batches and lists are small here and need no more than a key does.
			LongTimeout: o.timeout,
			Breaker:     breaker.Config{OpenFor: 100 * time.Millisecond, MaxOpenFor: 400 * time.Millisecond},
			Probe: resilient.Probe{
				Interval: 250 * time.Millisecond, FastInterval: 100 * time.Millisecond,
				DownInterval: 100 * time.Millisecond, MaxDownInterval: 300 * time.Millisecond,
				Timeout: o.timeout,
			},
		},
	}
}
