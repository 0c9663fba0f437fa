package failover

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// stripeCount is how many key locks a group has. Two keys that share one wait
// for each other's writes; with 1,024 and 64 writers at once that is one pair
// in sixteen writes.
const stripeCount = 1024

// overlay holds, in memory, the newest version of each key that is being
// written or that some member has not got yet.
//
// A stripe has two locks. key is the lock of its keys: whoever writes, hands
// back or copies one of them holds it for as long as that takes; it is a
// channel, so that waiting for it can be given up. mu guards the map and the
// entries in it and is held for a few instructions only.
type overlay struct {
	seed    maphash.Seed
	entries atomic.Int64 // in all stripes
	stripes [stripeCount]stripe
}

type stripe struct {
	key chan struct{}

	mu sync.Mutex // guards m and every entry in it
	m  map[string]*entry
}

// entry is one version of a key. The first group of fields never changes, the
// rest is guarded by its stripe's mu.
type entry struct {
	key    string
	value  []byte // owned by the entry; nil in a tombstone
	delete bool

	decided  bool          // its write can no longer be taken back
	waiting  chan struct{} // closed when decided or taken back; nil while nobody waits
	owed     Members       // who is not known to have it
	prev     *entry        // while undecided: the version before, if that was owed
	taints   taints        // of all versions of the key; nil = none
	recorded bool          // the journal has a record of the key
	listed   *backlogItem  // its place among what is owed
}

func newOverlay() *overlay {
	o := &overlay{seed: maphash.MakeSeed()}
	for i := range o.stripes {
		o.stripes[i].key = make(chan struct{}, 1)
		o.stripes[i].m = map[string]*entry{}
	}
	return o
}

func (o *overlay) index(key string) int {
	return int(maphash.String(o.seed, key) % stripeCount)
}

func (o *overlay) stripe(key string) *stripe { return &o.stripes[o.index(key)] }

// stripesOf returns the stripes of the entries' keys, each once, in the one
// order in which stripes are locked.
func (o *overlay) stripesOf(entries []*entry) []int {
	at := make([]int, len(entries))
	for i, e := range entries {
		at[i] = o.index(e.key)
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// lock takes the key locks of the given stripes, or none and ctx's error.
func (o *overlay) lock(ctx context.Context, at []int) error {
	for n, i := range at {
		if err := o.stripes[i].lock(ctx); err != nil {
			o.unlock(at[:n])
			return err
		}
	}
	return nil
}

func (o *overlay) unlock(at []int) {
	for _, i := range at {
		o.stripes[i].unlock()
	}
}

func (s *stripe) lock(ctx context.Context) error {
	select {
	case s.key <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.key <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stripe) unlock() { <-s.key }

// version is what a look-up found.
type version struct {
	found  bool
	value  []byte // the entry's own: copy before handing it out
	delete bool
}

// lookup returns the decided version of key, waiting for one that is being
// written. found is false if members know the key best.
func (o *overlay) lookup(ctx context.Context, key string) (version, error) {
	s := o.stripe(key)
	for {
		s.mu.Lock()
		e := s.m[key]
		if e == nil {
			s.mu.Unlock()
			return version{}, nil
		}
		if e.decided {
			v := version{true, e.value, e.delete}
			s.mu.Unlock()
			return v, nil
		}
		wait := e.waitLocked()
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return version{}, ctx.Err()
		}
	}
}

// waitLocked returns a channel that is closed when e is decided or taken back.
func (e *entry) waitLocked() <-chan struct{} {
	if e.waiting == nil {
		e.waiting = make(chan struct{})
	}
	return e.waiting
}

// wakeLocked lets those go on who wait for e.
func (e *entry) wakeLocked() {
	if e.waiting != nil {
		close(e.waiting)
		e.waiting = nil
	}
}

// publish makes e the newest version of its key, undecided and owed to all
// members, before anything is sent. The caller holds the key's lock.
func (o *overlay) publish(e *entry, all Members) {
	s := o.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.owed = all
	if prev := s.m[e.key]; prev != nil {
		e.prev, e.taints, e.recorded = prev, prev.taints, prev.recorded
	} else {
		o.entries.Add(1)
	}
	s.m[e.key] = e
}

// takeBack undoes publish: every member has refused e.
func (o *overlay) takeBack(e *entry) {
	s := o.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.prev != nil {
		s.m[e.key] = e.prev
	} else {
		o.dropLocked(s, e)
	}
	e.wakeLocked()
}

// dropLocked removes e, which no member is owed any more.
func (o *overlay) dropLocked(s *stripe, e *entry) {
	delete(s.m, e.key)
	o.entries.Add(-1)
}

// decideLocked makes e's value the one that reads get.
func (e *entry) decideLocked() {
	e.decided = true
	e.wakeLocked()
}

// taintLocked returns e's taint of member i of n.
func (e *entry) taintLocked(i, n int) *taint {
	if e.taints == nil {
		e.taints = make(taints, n)
	}
	return &e.taints[i]
}

// recorded reports whether the journal has a record of key, and its size.
func (o *overlay) recorded(key string) (size int64, ok bool) {
	s := o.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	if e == nil || !e.recorded {
		return 0, false
	}
	return e.record(0, false).size(), true
}

// matching returns the decided versions of all keys for which match is true,
// waiting for those that are being written when it is called.
func (o *overlay) matching(ctx context.Context, match func(string) bool) (map[string]version, error) {
	if o.entries.Load() == 0 {
		return nil, nil
	}
	found := map[string]version{}
	var undecided []string
	for i := range o.stripes {
		s := &o.stripes[i]
		s.mu.Lock()
		for key, e := range s.m {
			switch {
			case !match(key):
			case e.decided:
				found[key] = version{true, e.value, e.delete}
			default:
				undecided = append(undecided, key)
			}
		}
		s.mu.Unlock()
	}
	for _, key := range undecided {
		v, err := o.lookup(ctx, key)
		if err != nil {
			return nil, err
		}
		if v.found {
			found[key] = v
		}
	}
	return found, nil
}
