package failover

import (
	"sync"
	"sync/atomic"
	"time"
)

// taint is what is known of earlier calls to one member for one key that may
// still take effect there: a write that timed out lies in a socket buffer, or
// its caller has left it running.
type taint struct {
	running int       // calls that have not returned
	ended   time.Time // when the last ambiguous one returned; zero = none
	strays  int       // of running, that quieting knows of
}

// taints has one taint per member. All versions of a key share it.
type taints []taint

// blocks reports whether an earlier call to member i may still take effect.
// quiet is that member's quiet time: calls that had ended before it are over.
func (t taints) blocks(i int, quiet time.Time) bool {
	if t == nil {
		return false
	}
	return t[i].running > 0 || !t[i].ended.IsZero() && !t[i].ended.Before(quiet)
}

// blocked reports whether an earlier call to p for e's key may still take
// effect. quiet is p's quiet time.
func (e *entry) blocked(p *peer, quiet time.Time) bool {
	return p.unsettled(quiet) || e.taints.blocks(p.i, quiet)
}

// unsettled reports whether a call that no entry knows of may still take effect
// at p: one of an earlier process, or one whose key was discarded.
func (p *peer) unsettled(quiet time.Time) bool {
	return p.unclean && !p.joinedAt.Before(quiet) || p.quieting.astray(quiet)
}

// strayLocked takes care that what e knows of calls to p outlives e, for which p
// is given up: until they are over no key of p's is safe from them.
func (e *entry) strayLocked(p *peer, now time.Time) {
	if !e.taints.blocks(p.i, p.quieting.before(now)) {
		return
	}
	t := &e.taints[p.i]
	p.quieting.stray(t.running-t.strays, now)
	t.strays = t.running
}

// quieting tells from a member's good health checks which ambiguous calls can
// no longer take effect: those that had ended when a good check began, window
// after that check. A frozen server applies what lies in its socket buffers
// when it wakes, however late that is, so time alone is no proof.
type quieting struct {
	mu     sync.Mutex // guards all below
	window time.Duration
	recent []goodCheck
	quiet  time.Time

	strayed atomic.Bool // there was ever one
	strays  int         // calls that go on, of keys that were discarded
	last    time.Time   // when the last of them was discarded or ended
}

type goodCheck struct{ began, ended time.Time }

// setWindow sets how long after a good check a call may still take effect.
func (q *quieting) setWindow(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.window = d
}

// stray notes that so many calls more, or fewer, go on of which no entry knows.
func (q *quieting) stray(more int, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.strays += more
	q.last = now
	q.strayed.Store(true)
}

// astray reports whether one of those may still take effect.
func (q *quieting) astray(quiet time.Time) bool {
	if !q.strayed.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.strays > 0 || !q.last.Before(quiet)
}

// good notes a good check.
func (q *quieting) good(began, ended time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settleLocked(ended)
	// A check of which there is a younger one within an eighth of the window
	// adds next to nothing: the list stays short at any rate of checks.
	if n := len(q.recent); n > 0 && ended.Sub(q.recent[n-1].ended) < q.window/8 {
		return
	}
	q.recent = append(q.recent, goodCheck{began, ended})
}

// checkedSince reports whether a good check has ended since t.
func (q *quieting) checkedSince(t time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.recent)
	return n > 0 && q.recent[n-1].ended.After(t)
}

// before returns the time before which ambiguous calls must have ended to be
// over now; the zero time if there is none.
func (q *quieting) before(now time.Time) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settleLocked(now)
	return q.quiet
}

func (q *quieting) settleLocked(now time.Time) {
	n := 0
	for n < len(q.recent) && now.Sub(q.recent[n].ended) >= q.window {
		q.quiet = q.recent[n].began
		n++
	}
	q.recent = q.recent[n:]
}
