package failover_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nemesis breaks and heals the members, the journal and the process until stop.
func (s *simulation) nemesis(t *testing.T, stop <-chan struct{}) {
	rng := s.rand(1)
	wait := func(least, spread int) bool {
		select {
		case <-time.After(time.Duration(least+rng.IntN(spread)) * time.Millisecond):
			return true
		case <-stop:
			return false
		}
	}
	var heal []func() // of the faults that are on
	healAll := func() {
		for _, h := range heal {
			h()
		}
		heal = nil
		s.mu.Lock()
		s.faulty = 0
		s.mu.Unlock()
	}
	defer healAll()
	crashes := 0
	for wait(5, s.calm(rng)) {
		if crashes < s.deaths && rng.IntN(3) == 0 {
			crashes++
			require.NoError(t, s.crash(time.Duration(rng.IntN(50))*time.Millisecond))
		}
		heal = append(heal, s.breakOne(rng))
		s.mu.Lock()
		s.faults++
		s.faulty++
		s.mu.Unlock()
		if rng.IntN(3) == 0 {
			continue // one more on top
		}
		if !wait(5, 200) {
			return
		}
		healAll()
	}
}

// calm is how many ms pass at most until the next faults.
func (s *simulation) calm(rng *rand.Rand) int {
	if s.long() && rng.IntN(4) == 0 {
		return 4000
	}
	return 50
}

// breakOne begins one fault and returns what ends it.
func (s *simulation) breakOne(rng *rand.Rand) (heal func()) {
	i := rng.IntN(len(s.stores))
	store := s.stores[i]
	kinds := 13
	if s.durable && s.deaths == 0 {
		kinds = 15
	}
	switch rng.IntN(kinds) {
	case 0:
		store.kill()
	case 1, 2:
		store.freeze()
	case 3:
		store.set(func() { store.deny = true })
	case 4, 5:
		store.set(func() { store.lossy = 0.5 })
	case 6:
		store.set(func() { store.sick = true })
	case 7:
		store.kill()
		store.set(func() { store.lie = true })
	case 8:
		store.set(func() { store.slow = true })
	case 9:
		store.set(func() { store.ticks = true })
	case 10, 11:
		group := s.current().group
		name := group.Status().Members[i].Name
		_ = group.Drain(name)
		return func() { _ = group.Release(name) }
	case 12: // in and out, while calls go on there
		store.set(func() { store.slow = true })
		group := s.current().group
		name := group.Status().Members[i].Name
		_ = group.Drain(name)
		time.Sleep(time.Duration(5+rng.IntN(15)) * time.Millisecond)
		_ = group.Release(name)
	case 13, 14:
		refuse, doubt := rng.IntN(2) == 0, 1+rng.IntN(3) // more take too long to check
		s.disk.set(func() { s.disk.refuse, s.disk.doubt = refuse, doubt })
		return s.disk.heal
	}
	return store.heal
}
