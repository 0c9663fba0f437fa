package breaker

import (
	"runtime"
	"strings"
	"time"
)

// Change is one change of the state that a Breaker shows.
type Change struct {
	From, To   State
	Reason     string        // a few fixed words and figures
	Err        error         // the failure that opened it; nil for other changes
	At         time.Time     // with a monotonic reading
	Generation uint64        // higher than that of every earlier change
	OpenFor    time.Duration // for a change to Open: the least time it lasts; 0 if forced
}

// tell delivers the changes that are due, in order, one at a time, unless
// somebody does so already: then that one delivers these too.
func (b *Breaker) tell() {
	for c, ok := b.nextChange(false); ok; c, ok = b.nextChange(true) {
		b.tellOne(c)
	}
}

// nextChange makes the caller, who may have been it already, the teller of the
// returned change. ok is false if there is none or another one tells.
func (b *Breaker) nextChange(teller bool) (c Change, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.telling && !teller {
		return Change{}, false
	}
	b.telling = len(b.m.changes) > 0
	if b.telling {
		c, b.m.changes = b.m.changes[0], b.m.changes[1:]
		return c, true
	}
	for _, w := range b.waiting {
		close(w)
	}
	b.waiting = nil
	return Change{}, false
}

// tellOne calls OnChange and outlives whatever it does: a panic is contained,
// and if it ends the goroutine the rest is told before that is over.
//
//go:noinline
func (b *Breaker) tellOne(c Change) {
	returned := false
	defer func() {
		if recover() != nil || returned {
			return
		}
		for c, ok := b.nextChange(true); ok; c, ok = b.nextChange(true) {
			b.tellOne(c)
		}
	}()
	b.m.cfg.OnChange(c)
	returned = true
}

// awaitTold waits until no OnChange runs and none is due. It does not wait when
// the caller is inside an OnChange, which would be waiting for itself.
func (b *Breaker) awaitTold() {
	if insideOnChange() {
		return
	}
	b.mu.Lock()
	if !b.telling && len(b.m.changes) == 0 {
		b.mu.Unlock()
		return
	}
	told := make(chan struct{})
	b.waiting = append(b.waiting, told)
	b.mu.Unlock()
	<-told
}

// insideOnChange reports whether this goroutine is in a call of an OnChange, of
// any Breaker: two that close each other must not wait for each other.
func insideOnChange() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(1, pcs)
	for n == len(pcs) {
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(1, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "/breaker.(*Breaker).tellOne") {
			return true
		}
		if !more {
			return false
		}
	}
}
