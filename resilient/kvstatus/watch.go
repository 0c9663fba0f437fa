package kvstatus

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// watch is a Reporter that is watched.
type watch struct {
	r resilient.Reporter

	mu   sync.Mutex    // guards what follows; not held while Status is called
	now  chan struct{} // closed when the Status under way has ended; nil = none is
	late bool          // it was waited for in vain
	good bool          // the latest that ended said something
	said resilient.Status
	ever bool // said is not empty
}

// Watch shows the status of what it is given, in that order, for as long as the
// Page is used. A nil one is left out, and one that is shown is not shown twice.
func (p *Page) Watch(r ...resilient.Reporter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range r {
		if isNil(r) || slices.ContainsFunc(p.watched, func(w *watch) bool { return same(w.r, r) }) {
			continue
		}
		p.watched = append(p.watched, &watch{r: r})
	}
	p.news.Add(1)
}

// isNil reports whether r is nil or a typed nil.
func isNil(r resilient.Reporter) bool {
	if r == nil {
		return true
	}
	switch v := reflect.ValueOf(r); v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// same reports whether a and b are one. Those that cannot be compared are not.
func same(a, b resilient.Reporter) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// reading is what a Reporter says.
type reading struct {
	resilient.Status
	known bool // it says so now
	ever  bool // it has ever said anything
}

// read asks all Reporters, side by side. It waits for each no longer than
// patience, and not at all for one that is late already.
func (p *Page) read() []reading {
	p.mu.Lock()
	watched := slices.Clone(p.watched)
	p.mu.Unlock()
	ended := make([]<-chan struct{}, len(watched))
	for i, w := range watched {
		ended[i] = w.ask(p)
	}
	var timer <-chan time.Time
	out := make([]reading, len(watched))
	over := false
	for i, w := range watched {
		select {
		case <-ended[i]:
			out[i] = w.reading(true)
			continue
		default:
		}
		if over || w.isLate() {
			out[i] = w.reading(false)
			continue
		}
		if timer == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-ended[i]:
			out[i] = w.reading(true)
		case <-timer:
			over = true
			out[i] = w.reading(false)
		}
	}
	return out
}

// ask has the Status read, on a goroutine of its own, unless that is under way
// already. The channel is closed when it has ended, however that was.
func (w *watch) ask(p *Page) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		w.now = make(chan struct{})
		go w.read(w.now, p)
	}
	return w.now
}

// read calls Status, and the methods of the errors in it. A panic, or the end of
// its goroutine, is no answer.
func (w *watch) read(done chan struct{}, p *Page) {
	var st resilient.Status
	good := false
	defer func() {
		_ = recover()
		w.mu.Lock()
		defer w.mu.Unlock()
		if good {
			w.said, w.ever = st, true
		}
		w.good, w.late, w.now = good, false, nil
		close(done)
	}()
	st = p.readable(w.r.Status(), 0)
	good = true
}

func (w *watch) isLate() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.late
}

// reading returns what was said last. One that has not ended is late from then
// on.
func (w *watch) reading(ended bool) reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !ended && w.now != nil {
		w.late = true
	}
	return reading{Status: w.said, known: ended && w.good, ever: w.ever}
}
