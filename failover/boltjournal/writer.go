package boltjournal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// A commit takes this many records or bytes, unless a single Put has more, so
// that neither its time nor its memory is without bound. gatherTime is how
// long it waits for as many callers as the last one had: callers that share
// commits come back at the same time.
const (
	maxGroup      = 256
	maxGroupBytes = 16 << 20
	gatherTime    = 2 * time.Millisecond
)

// shrinkAt is the length of a file that is replaced once it has no record: a
// bbolt file never gets shorter by itself.
const shrinkAt = 64 << 20

// writer is the one goroutine that commits. What waits at the same time shares
// a commit.
type writer struct {
	j        *journal
	f        *file
	gathered int // how many callers the last commit had
	shrinkAt int64

	wake chan struct{} // holds one token if there may be something in the queue
	stop chan struct{} // closed by close
	done chan struct{} // closed when run has returned

	mu struct {
		sync.Mutex
		queue    []*change // oldest first
		expected int       // how many are to be queued before add wakes the writer
		closed   bool
		failed   error // refuses everything while the file is in doubt
		trouble  resilient.JournalStatus
		c        *contents
	}
}

func newWriter(j *journal, f *file, c *contents) *writer {
	w := &writer{
		j: j, f: f, shrinkAt: shrinkAt,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	w.mu.c = c
	go w.run()
	return w
}

func (w *writer) size() (keys int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.c.recs), w.mu.c.bytes
}

func (w *writer) status() resilient.JournalStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.trouble
}

// troubled notes that the journal is in the given state, because of err.
func (w *writer) troubled(state string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.troubledLocked(state, err)
}

func (w *writer) troubledLocked(state string, err error) {
	t := &w.mu.trouble
	if t.State != state {
		t.State, t.Since = state, time.Now()
	}
	t.Err = err
}

// add queues c.
func (w *writer) add(c *change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.mu.closed:
		return w.j.refused(resilient.ErrClosed)
	case w.mu.failed != nil:
		return w.mu.failed
	}
	w.mu.queue = append(w.mu.queue, c)
	if len(w.mu.queue) < w.mu.expected {
		return nil // a wake-up for each would cost more than the commit
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// take takes the next group.
func (w *writer) take() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, records, size := 0, 0, int64(0)
	for _, c := range w.mu.queue {
		records += c.records()
		size += c.bytes()
		if n > 0 && (records > maxGroup || size > maxGroupBytes) {
			break
		}
		n++
	}
	group := slices.Clone(w.mu.queue[:n])
	w.mu.queue = slices.Delete(w.mu.queue, 0, n)
	return group
}

// failed reports whether the file is in doubt.
func (w *writer) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.failed != nil
}

func (w *writer) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.queue)
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
		}
		for w.queued() > 0 {
			w.gather()
			w.round(w.take())
			if w.failed() && !w.mend() {
				return
			}
		}
	}
}

// gather waits for companions if the last commit had some.
func (w *writer) gather() {
	want := w.gathered
	if !w.expect(want) {
		return
	}
	enough := time.NewTimer(gatherTime)
	defer enough.Stop()
	for w.expect(want) {
		select {
		case <-w.wake:
		case <-enough.C:
			w.expect(0)
			return
		case <-w.stop:
			return
		}
	}
}

// expect makes add wake the writer when n calls are queued, and reports false
// if they are.
func (w *writer) expect(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.expected = n
	if len(w.mu.queue) >= n {
		w.mu.expected = 0
		return false
	}
	return true
}

// round commits one group.
func (w *writer) round(group []*change) {
	if len(group) == 0 { // Close has taken it
		return
	}
	w.gathered = len(group)
	p := w.plan(group)
	if p.empty() {
		finish(group, nil)
		return
	}
	certain, err := w.commit(p)
	if err == nil {
		w.adopt(p)
		w.j.changed(w)
		finish(group, nil)
		w.shrink()
		return
	}
	if !certain || !lacksSpace(err) {
		w.poison(err)
	} else {
		w.troubled(resilient.JournalRefusing, err)
	}
	if certain {
		finish(group, w.j.refused(err))
	} else {
		finish(group, fmt.Errorf("boltjournal: %s: a commit failed: %w", w.j.path, err))
	}
}

// adopt makes the contents those that have been committed.
func (w *writer) adopt(p *plan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.trouble = resilient.JournalStatus{}
	for key, it := range p.recs {
		if it == nil {
			w.mu.c.remove(key)
		} else {
			w.mu.c.put(*it)
		}
	}
	for name, n := range p.notes {
		if n == nil {
			w.mu.c.removeNote(name)
		} else {
			w.mu.c.putNote(name, *n)
		}
	}
}

// finish gives the changes their result.
func finish(group []*change, err error) {
	for _, c := range group {
		c.done <- err
	}
}

// close refuses what is queued, waits for the commit in progress, and closes
// the file. clean is what the file says of its end.
func (w *writer) close(clean bool) error {
	w.mu.Lock()
	w.mu.closed = true
	finish(w.mu.queue, w.j.refused(resilient.ErrClosed))
	w.mu.queue = nil
	w.mu.Unlock()
	close(w.stop)
	<-w.done

	w.mu.c.clean = clean
	var err error
	switch {
	case w.failed():
		err = w.renew()
	case clean:
		_, err = w.commit(&plan{})
	}
	return errors.Join(err, w.f.close())
}
