package meter

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/resilient"
)

// Maker makes series: a metric with the values of its labels, in the metric's
// order. What it makes exists at zero, if the library has a way to say so, and
// is the same series each time. Its methods are called on any goroutine.
type Maker interface {
	Counter(id ID, values ...string) Counter
	Histogram(id ID, values ...string) Histogram
}

// Counter is a series that only rises.
type Counter interface {
	Add(ctx context.Context, n int64)
}

// Histogram is a series that counts values.
type Histogram interface {
	Record(ctx context.Context, value float64)
}

// Meter makes numbers of events and statuses. Make it with New. All methods
// are safe for concurrent use. An event of a source that is known costs no
// lock and no allocation.
type Meter struct {
	maker    Maker
	known    atomic.Pointer[sources] // replaced, never changed
	attempts outcomes                // of stores outside of groups

	mu      sync.Mutex         // guards the replacing of known, and what follows
	pairs   map[[3]string]bool // group, from, to: switches whose series exist
	watched []*watch
}

// New returns a Meter whose series maker makes.
func New(maker Maker) *Meter {
	m := &Meter{maker: maker, pairs: map[[3]string]bool{}}
	m.known.Store(&sources{})
	m.attempts.fill(opCount, answered(ok, notFound, invalid, canceled, rejected, timeout, failed), func(op, outcome string) Histogram {
		return maker.Histogram(OperationAttempts, op, outcome)
	})
	return m
}

// role is what a source is in the events that it is named in.
type role uint8

const (
	aStore  role = iota // a store outside of groups
	aMember             // a member of a group
	aGroup              // a group; its source has no store
	aCached             // the store in whose place a cache answered
)

// source is where an event comes from.
type source struct {
	group, store string
	role         role
}

// few is how many sources are found faster by looking at each than by a map.
const few = 8

// sources are those that are known.
type sources struct {
	first []*series // at most few
	all   map[source]*series
}

// find returns the series of a source, nil if it is not known.
func (k *sources) find(src source) *series {
	for _, s := range k.first {
		if s.src == src {
			return s
		}
	}
	if len(k.first) < few {
		return nil
	}
	return k.all[src]
}

// with returns k and one more.
func (k *sources) with(s *series) *sources {
	with := &sources{first: k.first, all: maps.Clone(k.all)}
	if with.all == nil {
		with.all = map[source]*series{}
	}
	with.all[s.src] = s
	if len(k.first) < few {
		with.first = append(slices.Clone(k.first), s)
	}
	return with
}

// of returns the series of a source. They exist from then on.
func (m *Meter) of(group, store string, as role) *series {
	src := source{group, store, as}
	if s := m.known.Load().find(src); s != nil {
		return s
	}
	return m.meet(src)
}

// store returns the series of the store that e tells of.
func (m *Meter) store(e *resilient.Event) *series {
	if e.Group == "" {
		return m.of("", e.Store, aStore)
	}
	return m.of(e.Group, e.Store, aMember)
}

// meet makes the series of a source that was not known.
func (m *Meter) meet(src source) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known.Load()
	if s := known.find(src); s != nil {
		return s
	}
	s := newSeries(m.maker, src)
	m.known.Store(known.with(s))
	return s
}

// meetPair makes the series of the switches between two members of a group. A
// switch to a more wanted member is no way back if that is away as well.
func (m *Meter) meetPair(group, from, to string) {
	pair := [3]string{group, from, to}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pairs[pair] {
		return
	}
	m.pairs[pair] = true
	for _, direction := range []string{directionAway, directionBack} {
		for _, reason := range switchReasons {
			m.maker.Counter(Failovers, label(group), label(from), label(to), direction, reason)
		}
	}
}

// label returns name as a label can hold it.
func label(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
