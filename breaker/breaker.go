package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// The bits of Breaker.word under the generation.
const (
	wordState = 0b0011 // a State
	wordEnded = 0b0100 // Close was called
	wordFull  = 0b1000 // half-open, and every trial place is taken
	wordBits  = 4
)

// Breaker is a circuit breaker. Make one with New; it must not be copied. All
// methods are safe for concurrent use.
type Breaker struct {
	// What calls read, written only under mu. refusal and heed are written
	// before a word that depends on them.
	word    atomic.Uint64             // generation and state
	heed    atomic.Bool               // a good call changes something
	doubt   atomic.Bool               // InDoubt
	refusal atomic.Pointer[OpenError] // for Allow; nil while calls pass

	_ [64]byte // keeps what calls read off the lock's cache line

	mu      sync.Mutex // guards all below; never held across user code or a wait
	m       *machine
	timer   *time.Timer // calls onTimer; nil before the first use
	armed   time.Time   // what timer is set to; zero = stopped
	telling bool        // somebody tells the changes
	waiting []chan struct{}
	ended   bool
}

// New returns a closed Breaker, or an error that names every fault of cfg. It
// starts no goroutine; Close stops its timer.
func New(cfg Config) (*Breaker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	b := &Breaker{m: newMachine(cfg.withDefaults(), time.Now())}
	b.publish()
	return b, nil
}

// Allow asks for a call. It returns a Permit that the caller settles with Done
// when the call has ended, or an *OpenError, which matches ErrOpen. It takes no
// lock and reads no clock unless b is half-open, and allocates nothing.
func (b *Breaker) Allow() (Permit, error) {
	w := b.word.Load()
	if State(w&wordState) == Closed {
		return Permit{b: b, word: w}, nil
	}
	return b.allowSlowly(w)
}

// State returns the state that calls meet. It changes nothing and is one atomic
// load.
func (b *Breaker) State() State { return State(b.word.Load() & wordState) }

// Close ends b: it stops the timer, tells the changes that are due and waits
// for a running OnChange, unless it is called from inside one. Afterwards the
// state stays as it was, every call is allowed, and evidence, Force and Release
// change nothing. Close may be called more than once.
func (b *Breaker) Close() {
	now := b.lock()
	b.ended = true
	b.m.leases = nil
	b.unlock(now)
	b.awaitTold()
}

// lock takes mu and brings the machine up to now.
func (b *Breaker) lock() (now time.Time) {
	b.mu.Lock()
	now = time.Now()
	if !b.ended {
		b.m.tick(now)
	}
	return now
}

// unlock is leave, and tells the changes.
func (b *Breaker) unlock(now time.Time) {
	if b.leave(now) {
		b.tell()
	}
}

// leave publishes what the machine has become, sets the timer and gives mu back.
// It reports whether the caller has become the teller.
func (b *Breaker) leave(now time.Time) (teller bool) {
	b.publish()
	b.setTimer(now)
	teller = b.becomeTellerLocked()
	b.mu.Unlock()
	return teller
}

// publish makes the machine's state visible to those who don't lock.
func (b *Breaker) publish() {
	m := b.m
	s := m.state()
	w := m.gen<<wordBits | uint64(s)
	if b.ended {
		w |= wordEnded
	}
	if s == HalfOpen && len(m.leases) >= m.cfg.Trials {
		w |= wordFull
	}
	if refusal := m.refused(); b.refusal.Load() != refusal {
		b.refusal.Store(refusal)
	}
	heed := !b.ended && (m.auto == HalfOpen || m.auto == Closed && (m.window != nil || m.streak.row() > 0))
	if b.heed.Load() != heed {
		b.heed.Store(heed)
	}
	if doubt := !b.ended && m.doubt() != ""; b.doubt.Load() != doubt {
		b.doubt.Store(doubt)
	}
	if b.word.Load() != w {
		b.word.Store(w)
	}
}

// setTimer makes onTimer run when the machine is due.
func (b *Breaker) setTimer(now time.Time) {
	due, ok := b.m.due()
	if !ok || b.ended {
		due = time.Time{}
	}
	if due.Equal(b.armed) {
		return
	}
	b.armed = due
	switch {
	case due.IsZero():
		b.timer.Stop()
	case b.timer == nil:
		b.timer = time.AfterFunc(due.Sub(now), b.onTimer)
	default:
		b.timer.Reset(due.Sub(now))
	}
}

// onTimer does what is due. A late or needless call does no harm.
func (b *Breaker) onTimer() {
	now := b.lock()
	b.armed = time.Time{}
	b.unlock(now)
}
