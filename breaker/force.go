package breaker

import (
	"errors"
	"fmt"
	"time"
)

var (
	errForceState = errors.New("breaker: only open and closed can be forced")
	errEnded      = errors.New("breaker: closed for good")
)

// Force holds b Open or Closed, whatever the evidence, until Release. Open
// refuses every call; Closed lets every call through. The automatic state goes
// on beside it, unshown; evidence that is under way is void, and the ledgers
// of the closed state begin anew. Force returns an error for any other state,
// and after Close. Forcing again replaces the state and the reason.
func (b *Breaker) Force(s State, reason string) error {
	if s != Open && s != Closed {
		return fmt.Errorf("%w, not %s", errForceState, s)
	}
	now := b.lock()
	if b.ended {
		b.unlock(now)
		return errEnded
	}
	b.m.force(s, reason, now)
	b.unlock(now)
	return nil
}

// Release ends what Force began: b shows its automatic state again. Evidence
// that is under way is void, and the ledgers of the closed state begin anew.
// Without a forced state, and after Close, Release does nothing.
func (b *Breaker) Release() {
	now := b.lock()
	if !b.ended {
		b.m.release(now)
	}
	b.unlock(now)
}

func (m *machine) force(s State, reason string, now time.Time) {
	from := m.state()
	text := "forced " + s.String()
	if reason != "" {
		text += ": " + reason
	}
	m.forced = &forced{state: s, reason: text, refusal: &OpenError{Since: now, Reason: text}}
	m.voidAll()
	if from != s {
		m.show(from, text, now)
	}
}

func (m *machine) release(now time.Time) {
	if m.forced == nil {
		return
	}
	from := m.forced.state
	m.forced = nil
	m.voidAll()
	if from == m.auto {
		return
	}
	reason := "released"
	if m.auto != Closed {
		reason += ": " + m.reason
	}
	m.show(from, reason, now)
}

// voidAll begins a generation without a transition.
func (m *machine) voidAll() {
	m.gen++
	m.leases = nil
	m.clearLedgers()
}
