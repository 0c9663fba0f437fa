package kvtest

import (
	"context"
	"slices"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// Recorder is an Observer that keeps events for a test to look at. The zero
// Recorder is ready for use. Safe for concurrent use.
type Recorder struct {
	// Limit is how many events are kept; the oldest go first. Set it before the
	// first event. 0 = 10,000.
	Limit int

	mu     sync.Mutex // guards what follows
	events []resilient.Event
	next   int // where the oldest event is, once events is full
	counts map[resilient.Kind]int
}

var _ resilient.Observer = (*Recorder)(nil)

// Observe keeps e.
func (r *Recorder) Observe(_ context.Context, e resilient.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[resilient.Kind]int)
	}
	r.counts[e.Kind]++
	limit := r.Limit
	if limit <= 0 {
		limit = 10_000
	}
	if len(r.events) < limit {
		r.events = append(r.events, e)
		return
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % len(r.events)
}

// Events returns the events that are kept, oldest first.
func (r *Recorder) Events() []resilient.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.events[r.next:], r.events[:r.next])
}

// Of returns the events of kind that are kept, oldest first.
func (r *Recorder) Of(kind resilient.Kind) []resilient.Event {
	return slices.DeleteFunc(r.Events(), func(e resilient.Event) bool { return e.Kind != kind })
}

// Count returns how many events of kind were told since Reset, those that are
// no longer kept included.
func (r *Recorder) Count(kind resilient.Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[kind]
}

// Reset forgets everything.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events, r.next, r.counts = nil, 0, nil
}
