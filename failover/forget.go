package failover

import (
	"sync"
	"time"
)

// forgetter removes records that nobody needs any more from the journal. Their
// entries stay in the overlay, idle, until that is durable: as long as a record
// may be handed out after a restart, a new write of its key must replace it.
type forgetter struct {
	wake chan struct{}

	mu    sync.Mutex // guards queue
	queue []retired
}

// retired is an idle entry with the record that must go first.
type retired struct {
	e   *entry
	rec Record
}

// retireLocked gets rid of e if it is idle, and of its record. The key's lock is
// held.
func (f *KV) retireLocked(s *stripe, e *entry) {
	switch {
	case !e.idle():
	case e.seq == 0:
		f.overlay.dropLocked(s, e)
	default:
		f.forgets.mu.Lock()
		f.forgets.queue = append(f.forgets.queue, retired{e, Record{Key: e.key, Seq: e.seq}})
		f.forgets.mu.Unlock()
		select {
		case f.forgets.wake <- struct{}{}:
		default:
		}
	}
}

// retireIdle is retireLocked for an entry that is the newest again.
func (f *KV) retireIdle(e *entry) {
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.retireLocked(s, e)
}

// forgetBatch bounds how many records are removed at once, so that they do not
// hold up the records of new writes.
const forgetBatch = 256

// forgetPause is how long the forgetter waits after the journal has failed it.
const forgetPause = time.Second

// forget removes records as entries are retired, until the group is closed.
func (f *KV) forget() {
	for {
		select {
		case <-f.forgets.wake:
		case <-f.ctx.Done():
			f.forgetQueued()
			return
		}
		for f.forgetQueued() {
			select {
			case <-time.After(forgetPause):
			case <-f.ctx.Done():
			}
		}
	}
}

// forgetQueued empties the queue. It reports false when that is done, true if
// the journal has failed.
func (f *KV) forgetQueued() (failed bool) {
	for {
		f.forgets.mu.Lock()
		n := min(len(f.forgets.queue), forgetBatch)
		batch := f.forgets.queue[:n:n]
		f.forgets.mu.Unlock()
		if n == 0 {
			return false
		}
		recs := make([]Record, n)
		for i, r := range batch {
			recs[i] = r.rec
		}
		if f.journal.Forget(recs...) != nil {
			return f.ctx.Err() == nil
		}
		f.forgets.mu.Lock()
		f.forgets.queue = f.forgets.queue[n:]
		f.forgets.mu.Unlock()
		for _, r := range batch {
			s := f.overlay.stripe(r.e.key)
			s.mu.Lock()
			if s.m[r.e.key] == r.e {
				f.overlay.dropLocked(s, r.e)
			}
			s.mu.Unlock()
		}
	}
}
