package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// open makes a group of a bbolt file and a badger folder, and returns the switch
// that takes bolt away.
func open(dir string, observer resilient.Observer) (*failover.KV, *kvtest.Fault, error) {
	file, err := boltkv.Open(filepath.Join(dir, "first.db"), boltkv.Config{})
	if err != nil {
		return nil, nil, err
	}
	folder, err := badgerkv.Open(filepath.Join(dir, "second"), badgerkv.Config{})
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	bolt := kvtest.NewFault(file)
	// Detach lets callers leave a store that hangs: a file that hangs knows
	// nothing of contexts.
	first, err := resilient.Wrap(resilient.Detach(bolt, 0), memberConfig("bolt", observer))
	if err != nil {
		return nil, nil, errors.Join(err, bolt.Close(), folder.Close())
	}
	second, err := resilient.Wrap(folder, memberConfig("badger", observer))
	if err != nil {
		return nil, nil, errors.Join(err, first.Close(), folder.Close())
	}
	group, err := failover.New(failover.Config{
		Name: "orders", Writes: failover.Mirror, Complete: true, Observer: observer,
		Failback: failover.Failback{After: time.Second, MaxAfter: 5 * time.Second},
	}, first, second)
	if err != nil {
		return nil, nil, errors.Join(err, first.Close(), second.Close())
	}
	return group, bolt, nil
}

// memberConfig waits less than the defaults do, so that there is something to
// see within seconds.
func memberConfig(name string, observer resilient.Observer) resilient.Config {
	return resilient.Config{
		Name: name, Timeout: time.Second, LongTimeout: time.Second, Observer: observer,
		Breaker: breaker.Config{OpenFor: 200 * time.Millisecond, MaxOpenFor: time.Second},
		Probe: resilient.Probe{
			Interval: time.Second, FastInterval: 200 * time.Millisecond, DownInterval: 300 * time.Millisecond,
			MaxDownInterval: time.Second, Timeout: time.Second, SlowAfter: 500 * time.Millisecond,
		},
	}
}

// drive makes clients that read and write until stop is called.
func drive(kv resilient.KV, clients int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				key := fmt.Sprintf("order:%04d", rand.IntN(1000)) //#nosec G404 -- made-up load
				// What becomes of a call is what the observers show.
				if rand.IntN(10) < 3 { //#nosec G404 -- made-up load
					_ = kv.SetRaw(ctx, key, []byte(time.Now().Format(time.RFC3339Nano)))
				} else {
					_, _ = kv.GetRaw(ctx, key)
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(5+rand.IntN(10)) * time.Millisecond): //#nosec G404 -- made-up load
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}
