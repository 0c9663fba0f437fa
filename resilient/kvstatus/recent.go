package kvstatus

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// last holds the last of what it was given.
type last[T any] struct {
	size int
	all  []T // oldest first
}

func (l *last[T]) add(v T) {
	if l.size <= 0 {
		return
	}
	if len(l.all) == l.size {
		copy(l.all, l.all[1:])
		l.all = l.all[:l.size-1]
	}
	l.all = append(l.all, v)
}

// turn is a change of a breaker's state or of who serves.
type turn struct {
	at       time.Time
	from, to string
	reason   string
}

// check is a health check.
type check struct {
	at   time.Time
	took time.Duration
	slow bool
	bad  bool
	none bool // no verdict: the store cannot tell
}

// How much is kept of each source. A breaker that flaps leaves less of the past
// on the page.
const (
	keepTurns  = 128
	keepChecks = 30
)

// record is what is remembered of a source.
type record struct {
	calls *series
	owed  atomic.Pointer[entry] // the latest run of events; nil = none yet
	back  atomic.Pointer[entry] // of owed writes handed back
	stale atomic.Pointer[entry]

	mu     sync.Mutex // guards what follows; nothing foreign is called while it is held
	turns  last[turn]
	checks last[check]
	health resilient.Class // of the latest check
	slow   bool            // so was the latest check
}

func newRecord() *record {
	return &record{calls: newSeries(), turns: last[turn]{size: keepTurns}, checks: last[check]{size: keepChecks}}
}

func (r *record) turned(t turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns.add(t)
}

// checked takes note of a health check, and reports whether it says anything
// new.
func (r *record) checked(e *resilient.Event) (news bool) {
	none := errors.Is(e.Err, resilient.ErrHealthUnknown) // foreign: before the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks.add(check{e.Time, e.Duration, e.Slow, e.Err != nil && !none, none})
	if none {
		return false
	}
	news = e.Class != r.health || e.Slow != r.slow
	r.health, r.slow = e.Class, e.Slow
	return news
}

// pastTurns returns the turns that are kept, oldest first; none of nothing.
func (r *record) pastTurns() []turn {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]turn(nil), r.turns.all...)
}

func (r *record) pastChecks() []check {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]check(nil), r.checks.all...)
}

// source is where events come from: a member of a group, a group (without a
// store), or a store outside of groups (without a group).
type source struct{ group, store string }

// caller returns the source of e as the caller of a group or store sees it.
func caller(e *resilient.Event) source {
	if e.Group != "" {
		return source{group: e.Group}
	}
	return source{store: e.Store}
}

// records are those of all sources.
type records struct {
	mu  sync.Mutex // serializes additions
	all atomic.Pointer[map[source]*record]
}

// of returns what is remembered of s; nil if there are too many sources.
func (r *records) of(s source) *record {
	if all := r.all.Load(); all != nil {
		if rec := (*all)[s]; rec != nil {
			return rec
		}
	}
	return r.add(s)
}

func (r *records) add(s source) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	grown := map[source]*record{}
	if all := r.all.Load(); all != nil {
		if rec := (*all)[s]; rec != nil || len(*all) >= maxSources {
			return rec
		}
		for k, v := range *all {
			grown[k] = v
		}
	}
	rec := newRecord()
	grown[s] = rec
	r.all.Store(&grown)
	return rec
}

// find returns what is remembered of s; nil if nothing is.
func (r *records) find(s source) *record {
	if all := r.all.Load(); all != nil {
		return (*all)[s]
	}
	return nil
}
