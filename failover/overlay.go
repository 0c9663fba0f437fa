package failover

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
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
	key   chan struct{}
	ended <-chan struct{} // closed when nobody is to wait for key any more

	mu sync.Mutex // guards m and every entry in it
	m  map[string]*entry
}

// entry is one version of a key. The first group of fields never changes, the
// second is guarded by its stripe's mu (and changed, but for taints, only by who
// holds the key's lock), the third by the key's lock.
type entry struct {
	key    string
	value  []byte // owned by the entry; nil in a tombstone
	delete bool

	decided bool          // its write can no longer be taken back
	waiting chan struct{} // closed when decided or taken back; nil while nobody waits
	owed    Members       // who is not known to have it
	remove  Members       // Handoff: who may hold a copy that must go once nobody is owed
	refuses Members       // who will not take it, and is not asked again
	tainted Members       // who was sent it while an earlier call could still take effect there
	prev    *entry        // until the write is over: the version before
	taints  taints        // of all versions of the key; nil = none
	listed  *backlogItem  // its place among what is owed

	seq   uint64    // of the last record put for the key, of this version or an older one; 0 = none
	kept  recorded  // what the journal certainly has of this version
	since time.Time // when the key began to be owed; zero = not known to be yet
}

// recorded is what a record says besides the version.
type recorded struct{ owed, remove Members }

// idle reports whether e asks for nothing any more: it has no version, and is
// there until the journal has forgotten it.
func (e *entry) idle() bool { return e.owed|e.remove == 0 }

// size is what e's record takes while somebody is owed e.
func (e *entry) size() int64 { return int64(len(e.key) + len(e.value)) }

func newOverlay(ended <-chan struct{}) *overlay {
	o := &overlay{seed: maphash.MakeSeed()}
	for i := range o.stripes {
		o.stripes[i].key, o.stripes[i].ended = make(chan struct{}, 1), ended
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

// lock takes the key locks of the given stripes, or none and ctx's error;
// ErrClosed if they are not given back because the group is being closed.
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
	case <-s.ended:
		return resilient.ErrClosed
	}
}

func (s *stripe) unlock() { <-s.key }

// version is what a look-up found.
type version struct {
	found  bool
	value  []byte // the entry's own: copy before handing it out
	delete bool
	remove Members // without found: whose copy of the key must not be read
}

// version returns what a reader gets of a decided entry.
func (e *entry) version() version {
	if e.owed == 0 {
		if planted("cleanhit") {
			return version{}
		}
		return version{remove: e.remove}
	}
	return version{found: true, value: e.value, delete: e.delete}
}

// lookup returns the decided version of key, waiting for one that is being
// written. found is false if members know the key best.
func (o *overlay) lookup(ctx context.Context, key string) (version, error) {
	s := o.stripe(key)
	for {
		s.mu.Lock()
		e := s.m[key]
		if e == nil || planted("nooverlay") || !e.decided && planted("nowait") {
			s.mu.Unlock()
			return version{}, nil
		}
		if e.decided {
			v := e.version()
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

// publish makes e the newest version of its key, undecided and owed to the
// given members, before anything is sent. The caller holds the key's lock.
func (o *overlay) publish(e *entry, owed Members) {
	s := o.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.owed = owed
	if prev := s.m[e.key]; prev != nil {
		e.prev, e.taints, e.remove, e.seq = prev, prev.taints, prev.remove, prev.seq
	} else {
		o.entries.Add(1)
	}
	s.m[e.key] = e
}

// restore undoes publish: every member has refused e. It returns the entry that
// is the newest again: e itself, idle, if there was none before.
func (o *overlay) restore(e *entry) *entry {
	s := o.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.owed, e.remove = 0, 0
	e.decideLocked()
	if e.prev == nil {
		return e
	}
	s.m[e.key] = e.prev
	return e.prev
}

// began returns when e's key began to be owed: with the version before, if that
// is owed still, else now. The key's lock is held.
func (e *entry) began(now time.Time) time.Time {
	if e.since.IsZero() {
		e.since = now
		if e.prev != nil && e.prev.owed != 0 && !e.prev.since.IsZero() {
			e.since = e.prev.since
		}
	}
	return e.since
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

// recorded reports whether the journal certainly has a record of key and keeps
// it, and the least size that it has. One of an idle entry is being forgotten.
// The caller holds the key's lock.
func (o *overlay) recorded(key string) (size int64, ok bool) {
	s := o.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	switch {
	case e == nil || e.idle() || e.kept == (recorded{}):
		return 0, false
	case e.kept.owed == 0: // a record without a version
		return int64(len(e.key)), true
	}
	return e.size(), true
}

// matching returns the versions that members owe of keys for which match is true,
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
			case e.decided && e.owed != 0:
				found[key] = e.version()
			case e.decided:
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
