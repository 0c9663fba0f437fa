package failover

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// cacheWorkers is how many goroutines bring values to the cache at most.
	cacheWorkers = 8
	// cacheWaiting is how many bytes may wait for them.
	cacheWaiting = 32 << 20
	// cacheItemCost is what an item takes besides key and value, about.
	cacheItemCost = 256
)

// cacheItem is what is to become of a key in the cache.
type cacheItem struct {
	raw  []byte // the envelope, not sealed; nil: the key is removed
	gen  uint64 // an item below the stripe's floor is void
	fill bool   // from a read: void if a write has come in between
}

func (it cacheItem) size(key string) int64 { return int64(len(key) + len(it.raw) + cacheItemCost) }

// saw is told what the store answered to a read that began at time at, when
// the stripe was at generation gen.
func (c *Cached) saw(s *cacheStripe, key string, value []byte, gen uint64, at time.Time) {
	now, every := c.age(at), c.cfg.FillEvery
	if !s.due(key, now, every, false) {
		return
	}
	if len(value) > c.cfg.MaxValue {
		c.remove(s, key) // what is cached is another value
		return
	}
	if planted("cachestamp") {
		at = time.Now()
	}
	it := cacheItem{raw: c.envelope(value, gen, at), gen: gen, fill: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outdatedLocked(key, gen) || s.busyLocked(key) || !s.due(key, now, every, false) || !s.markLocked(key, now, every, false) {
		return
	}
	c.addLocked(s, key, it)
}

// envelope returns one for a value that is known to be right at that time.
func (c *Cached) envelope(value []byte, gen uint64, at time.Time) []byte {
	return cacheEntry{storedAt: at.UnixNano(), life: c.life, lifetime: c.age(at), gen: gen, value: value}.envelope()
}

// missed is told that the store has not got key. The time is that of the
// answer: a fill by a read that began earlier must not come after it.
func (c *Cached) missed(s *cacheStripe, key string) {
	if s.due(key, c.age(time.Now()), c.cfg.FillEvery, true) && !planted("cachemiss") {
		c.remove(s, key)
	}
}

// remove has key removed from the cache, and voids fills by reads that are
// under way.
func (c *Cached) remove(s *cacheStripe, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.replaceLocked(s, key, cacheItem{gen: s.gen.Add(1)})
	s.markLocked(key, c.age(time.Now()), c.cfg.FillEvery, true) // however that went: not again at the next miss
}

// replaceLocked has the entry of key replaced by it, or removed; if that
// cannot be done the entry is not served any more.
func (c *Cached) replaceLocked(s *cacheStripe, key string, it cacheItem) {
	if !c.addLocked(s, key, it) {
		s.raiseLocked()
	}
}

// addLocked puts it in line for the cache, in the place of an earlier one. It
// reports false if too much waits already.
func (c *Cached) addLocked(s *cacheStripe, key string, it cacheItem) bool {
	q := &c.queue
	if q.waiting.Add(it.size(key)) > cacheWaiting || !s.queued && !q.add(c, s) {
		q.waiting.Add(-it.size(key))
		return false
	}
	s.queued = true
	if old, ok := s.pending[key]; ok {
		q.waiting.Add(-old.size(key))
	}
	if s.pending == nil {
		s.pending = map[string]cacheItem{}
	}
	s.pending[key] = it
	return true
}

// cacheQueue holds the stripes that have items, each once.
type cacheQueue struct {
	waiting atomic.Int64 // bytes of all items
	working sync.WaitGroup

	mu      sync.Mutex // guards what follows; taken with a stripe's held
	stripes []*cacheStripe
	workers int
	closed  bool
}

// add gives s, whose lock is held, to a worker. It reports false after close.
func (q *cacheQueue) add(c *Cached, s *cacheStripe) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.stripes = append(q.stripes, s)
	if q.workers < cacheWorkers {
		q.workers++
		q.working.Go(c.work)
	}
	return true
}

// next returns a stripe to work on; nil ends the worker.
func (q *cacheQueue) next() *cacheStripe {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.stripes) == 0 {
		q.stripes = nil
		q.workers--
		return nil
	}
	s := q.stripes[0]
	q.stripes = q.stripes[1:]
	return s
}

// close waits until nothing is in the queue; it takes no more.
func (q *cacheQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.working.Wait()
}

// work brings items to the cache until there are none: those of one stripe one
// after the other, so that what comes last is what stays.
func (c *Cached) work() {
	for s := c.queue.next(); s != nil; s = c.queue.next() {
		for {
			key, it, ok := c.take(s)
			if !ok {
				break
			}
			c.settle(s, it, c.apply(key, it))
		}
	}
}

// take returns an item of s that is worth bringing; ok is false if there is
// none, and s is out of the queue then.
func (c *Cached) take(s *cacheStripe) (key string, it cacheItem, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, it = range s.pending {
		delete(s.pending, key)
		c.queue.waiting.Add(-it.size(key))
		if it.gen < s.floor || it.fill && s.outdatedLocked(key, it.gen) {
			s.unmarkLocked(key)
			continue
		}
		s.running = cacheRun{key, it, true}
		return key, it, true
	}
	s.pending, s.queued = nil, false
	s.movedLocked()
	return "", cacheItem{}, false
}

// apply makes the calls of the cache that it stands for.
func (c *Cached) apply(key string, it cacheItem) error {
	if it.raw == nil {
		return c.drop(key)
	}
	sealEnvelope(key, it.raw)
	err := c.cache.SetRaw(c.ctx, key, it.raw)
	if errors.Is(err, resilient.ErrValueTooLarge) {
		return c.drop(key) // else the old value would stay
	}
	return unlessForeign(err)
}

// drop removes key from the cache. Most keys that are missed are not there, and
// a look costs less than a write where every write is synced to disk.
func (c *Cached) drop(key string) error {
	_, err := c.cache.GetRaw(c.ctx, key)
	if errors.Is(err, resilient.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = c.cache.Delete(c.ctx, key)
	}
	return unlessForeign(err)
}

// unlessForeign returns err unless it says that the cache takes no such key, in
// which case it has none either.
func unlessForeign(err error) error {
	if errors.Is(err, resilient.ErrInvalidKey) || errors.Is(err, resilient.ErrKeyTooLarge) || errors.Is(err, resilient.ErrEmptyKey) {
		return nil
	}
	return err
}

// settle notes how it ended. What failed may still reach the cache, or leave
// the entry that it was to replace: neither is to be served. A fill that was
// refused has changed nothing.
func (c *Cached) settle(s *cacheStripe, it cacheItem, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.running.key
	s.running = cacheRun{}
	bug := it.fill && planted("cachelate") || !it.fill && planted("cachefail")
	if err != nil && (!it.fill || !refused(err)) && !bug {
		var mark *cacheMark
		if i := s.placeOf(key); i >= 0 && (it.fill || it.raw == nil) {
			mark = s.marks[i].Load()
		}
		s.raiseLocked()
		s.marks[0].Store(mark) // a read of that key does not try again at once
	}
	s.movedLocked()
}
