package meter

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// patience is how long a Read waits for all statuses together. They are read
// from memory, so one that takes longer hangs; and Prometheus gives a scrape
// ten seconds unless it is told otherwise.
const patience = time.Second

// watch is a Reporter that is watched.
type watch struct {
	r resilient.Reporter

	mu   sync.Mutex        // guards what follows; not held while Status is called
	now  chan struct{}     // closed when the Status under way has ended; nil = none is
	good bool              // the latest that ended said something
	last *resilient.Status // what was said last; nil = nothing yet
}

// Watch has the Reporters' statuses read from then on, and makes the series of
// what they name. A nil one is left out, and one that is watched is not watched
// twice. It waits for the statuses as Read does.
func (m *Meter) Watch(reporters ...resilient.Reporter) {
	m.mu.Lock()
	for _, r := range reporters {
		if IsNil(r) || slices.ContainsFunc(m.watched, func(w *watch) bool { return same(w.r, r) }) {
			continue
		}
		m.watched = append(m.watched, &watch{r: r})
	}
	m.mu.Unlock()
	m.Read()
}

// IsNil reports whether v is nil or a typed nil.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return r.IsNil()
	}
	return false
}

// same reports whether a and b are one. Those that cannot be compared are
// not.
func same(a, b resilient.Reporter) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// ask has the Status read, on a goroutine of its own, unless that is under way
// already. The channel is closed when it has ended, however that was.
func (w *watch) ask() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now != nil {
		return w.now
	}
	w.now = make(chan struct{})
	go w.read(w.now)
	return w.now
}

// read calls Status. A panic, or the end of its goroutine, is no answer.
func (w *watch) read(done chan struct{}) {
	var said *resilient.Status
	defer func() {
		_ = recover()
		w.mu.Lock()
		defer w.mu.Unlock()
		if said != nil {
			w.last = said
		}
		w.good, w.now = said != nil, nil
		close(done)
	}()
	st := w.r.Status()
	said = &st
}

// said returns what was said last, nil if nothing was ever, and whether the
// latest Status that ended said it.
func (w *watch) said() (st *resilient.Status, good bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.good
}
