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

// becomeTellerLocked makes the caller the teller, who has to call tell, if
// there are changes to tell and nobody tells already. If somebody does, that
// one tells these too.
func (b *Breaker) becomeTellerLocked() bool {
	if b.m.cfg.OnChange == nil {
		b.m.changes = nil
	}
	if b.telling || len(b.m.changes) == 0 {
		return false
	}
	b.telling = true
	return true
}

// tell delivers the changes in order, one at a time. The caller is the teller.
func (b *Breaker) tell() {
	for c, ok := b.nextChange(); ok; c, ok = b.nextChange() {
		b.tellOne(c)
	}
}

// nextChange returns the next change for the teller to tell. If there is none,
// ok is false and the caller is the teller no more.
func (b *Breaker) nextChange() (c Change, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.m.changes) > 0 {
		c, b.m.changes = b.m.changes[0], b.m.changes[1:]
		return c, true
	}
	b.telling = false
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
		b.tell()
	}()
	b.m.cfg.OnChange(c)
	returned = true
}

// awaitTold waits until no OnChange runs and none is due. It does not wait when
// the caller is inside an OnChange, which would be waiting for itself.
func (b *Breaker) awaitTold() {
	if InOnChange() {
		return
	}
	b.mu.Lock()
	if !b.telling {
		b.mu.Unlock()
		return
	}
	told := make(chan struct{})
	b.waiting = append(b.waiting, told)
	b.mu.Unlock()
	<-told
}

// InOnChange reports whether the caller is in a call of an OnChange, of any
// Breaker: two that close each other must not wait for each other, and what waits
// for a Close must not either. It looks through the stack.
func InOnChange() bool {
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
