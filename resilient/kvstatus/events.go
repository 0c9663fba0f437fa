package kvstatus

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// runGap ends a run: an event that follows the one before it sooner is counted
// with it.
const runGap = 10 * time.Second

// entry is an event, or a run of events that say the same. Of all fields only
// the last two change.
type entry struct {
	kind        resilient.Kind
	at          time.Time // of the first
	group       string
	store       string
	class       resilient.Class
	slow, back  bool
	ambiguous   bool
	from, to    string
	reason      string
	count       int
	age, took   time.Duration
	text        string // of the error; "" unless it is to be shown
	runs        bool   // further events are counted in times
	failedCheck bool
	nobody      bool // serves after the switch

	times atomic.Int64
	until atomic.Int64 // Unix nanoseconds of the latest
}

func newEntry(e *resilient.Event, text string) *entry {
	n := &entry{
		kind: e.Kind, at: writable(e.Time), group: clip(e.Group), store: clip(e.Store), class: e.Class, slow: e.Slow, back: e.Back,
		from: clip(e.From), to: clip(e.To), reason: clip(e.Reason), count: e.Count, age: e.Age, took: e.Duration, text: text,
		ambiguous: e.Ambiguous, nobody: e.Nobody, failedCheck: e.Kind == resilient.KindProbe && e.Err != nil,
	}
	n.times.Store(timesOf(e))
	n.until.Store(e.Time.UnixNano())
	return n
}

// timesOf returns how many writes or calls e tells of.
func timesOf(e *resilient.Event) int64 {
	if e.Kind == resilient.KindStale {
		return 1
	}
	return int64(max(e.Count, 1))
}

// join counts e, or reports that the run is over.
func (n *entry) join(e *resilient.Event) bool {
	t := e.Time.UnixNano()
	until := n.until.Load()
	if t-until > int64(runGap) {
		return false
	}
	n.times.Add(timesOf(e))
	if t > until {
		n.until.Store(t)
	}
	return true
}

// log holds the last events.
type log struct {
	mu      sync.Mutex // guards entries; held for one copy at most
	entries last[*entry]
}

func (l *log) add(n *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries.add(n)
}

// newest returns the last events, the newest first; a run is as old as its
// latest.
func (l *log) newest() []*entry {
	l.mu.Lock()
	out := slices.Clone(l.entries.all)
	l.mu.Unlock()
	slices.Reverse(out)
	until := make(map[*entry]int64, len(out)) // they change
	for _, n := range out {
		until[n] = n.until.Load()
	}
	slices.SortStableFunc(out, func(a, b *entry) int { return cmp.Compare(until[b], until[a]) })
	return out
}
