package failover

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// cacheStripe is what must be known of the keys that share it to tell whether
// an entry may be served. It is small and there is a fixed number of them: a
// stripe forgets which key it was, and so a write that failed takes a few
// other keys' entries with it.
type cacheStripe struct {
	// gen is the generation: it goes up when a write begins and when one has
	// ended that may have been applied. What was read from the store is of no
	// use to the cache if gen has moved since. Changed with mu held only.
	gen atomic.Uint64
	// marks remember when keys were last filled or found gone. Changed with mu
	// held only.
	marks [8]atomic.Pointer[cacheMark]

	mu sync.Mutex // guards what follows; nothing waits while it is held
	// floor: entries of this life with a lower generation are not served.
	floor uint64
	// floorAt: entries of other lives that were not stored after it, in ns since
	// 1970, are not served.
	floorAt int64
	writing map[string]cacheWriting
	pending map[string]cacheItem // for the cache, one for each key
	running cacheRun             // under way at the cache
	queued  bool                 // in the queue, or at a worker
	moved   chan struct{}        // closed when running has ended; nil: nobody waits
}

// cacheWriting is the writes of a key that are under way at the store.
type cacheWriting struct {
	n      int
	shared bool // more than one at once: nobody knows which is the last
}

// cacheMark says when a key was last filled or found gone.
type cacheMark struct {
	key  string
	at   int64 // in ns of the Cached's life
	gone bool
}

// cacheRun is the item that is under way, if busy.
type cacheRun struct {
	key  string
	it   cacheItem
	busy bool
}

// begin makes key unservable: a write of it is about to be sent.
func (s *cacheStripe) begin(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen.Add(1)
	if planted("cachesent") {
		return
	}
	w := s.writing[key]
	w.n++
	w.shared = w.n > 1
	if s.writing == nil {
		s.writing = map[string]cacheWriting{}
	}
	s.writing[key] = w
}

// endLocked undoes begin. It reports whether another write of the key was
// under way at the same time.
func (s *cacheStripe) endLocked(key string) (shared bool) {
	w := s.writing[key]
	w.n--
	if w.n > 0 {
		s.writing[key] = w
	} else {
		delete(s.writing, key)
	}
	return w.shared && !planted("cacheshared")
}

// raiseLocked makes everything that is stored so far, or is on its way to the
// cache, unservable: of no key there is anything that need not be filled.
func (s *cacheStripe) raiseLocked() {
	s.floor = s.gen.Add(1)
	s.raiseOthersLocked()
	for i := range s.marks {
		s.marks[i].Store(nil)
	}
}

// raiseOthersLocked makes what other lives have stored so far unservable.
func (s *cacheStripe) raiseOthersLocked() { s.floorAt = max(s.floorAt, time.Now().UnixNano()) }

// outdatedLocked reports whether what was read at generation gen may be older
// than a write.
func (s *cacheStripe) outdatedLocked(key string, gen uint64) bool {
	return (s.gen.Load() != gen || s.writing[key].n > 0) && !planted("cachegen")
}

// busyLocked reports whether something is on its way to the cache for key.
func (s *cacheStripe) busyLocked(key string) bool {
	it, busy := s.pending[key]
	if !busy && s.running.busy && s.running.key == key {
		it, busy = s.running.it, true
	}
	return busy && (it.fill || !planted("cacheput"))
}

// settled waits until nothing is on its way to the cache for key. It returns
// the generation then; ok is false if ctx ended first or a write of the key is
// under way.
func (s *cacheStripe) settled(ctx context.Context, key string) (gen uint64, ok bool) {
	for {
		s.mu.Lock()
		if !s.busyLocked(key) {
			defer s.mu.Unlock()
			return s.gen.Load(), s.writing[key].n == 0
		}
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		moved := s.moved
		s.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, false
		}
	}
}

// movedLocked wakes those who wait in settled.
func (s *cacheStripe) movedLocked() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// due reports whether a key that was read at time now should be filled or, if
// gone, removed. It takes no lock: nearly always it says no.
func (s *cacheStripe) due(key string, now int64, every time.Duration, gone bool) bool {
	free := gone // a removal needs no mark
	for i := range s.marks {
		m := s.marks[i].Load()
		switch {
		case m == nil:
			free = true
		case m.key == key:
			return now-m.at >= int64(every) || gone && !m.gone
		case now-m.at >= int64(every):
			free = true
		}
	}
	return free
}

// markLocked notes that key is filled, or removed, from time now on. It reports
// false if there is no place for that. Keys that are gone get half the places:
// looking for many of them must not keep the others from being filled.
func (s *cacheStripe) markLocked(key string, now int64, every time.Duration, gone bool) bool {
	place, places := s.placeOf(key), len(s.marks)
	if gone {
		places /= 2
	}
	for i := 0; i < places && place < 0; i++ {
		if m := s.marks[i].Load(); m == nil || now-m.at >= int64(every) {
			place = i
		}
	}
	if place >= 0 {
		s.marks[place].Store(&cacheMark{key, now, gone})
	}
	return place >= 0
}

// placeOf returns where the mark of key is, -1 if it has none.
func (s *cacheStripe) placeOf(key string) int {
	for i := range s.marks {
		if m := s.marks[i].Load(); m != nil && m.key == key {
			return i
		}
	}
	return -1
}

// unmarkLocked lets the next read of key fill it: the cache has nothing of it.
func (s *cacheStripe) unmarkLocked(key string) {
	if i := s.placeOf(key); i >= 0 {
		s.marks[i].Store(nil)
	}
}

// backLocked notes that key, which may have been marked as gone, is not.
func (s *cacheStripe) backLocked(key string) {
	i := s.placeOf(key)
	if i < 0 || planted("cacheback") {
		return
	}
	if m := s.marks[i].Load(); m.gone {
		s.marks[i].Store(&cacheMark{key: key, at: m.at})
	}
}
