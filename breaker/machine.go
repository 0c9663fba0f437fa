package breaker

import (
	"math"
	"time"
)

// machine decides. It takes the time as an argument, has no lock and no timer,
// calls nobody and leaves what it has done in changes. Its callers give it
// times that do not go back, and call tick before anything else.
type machine struct {
	cfg Config // with defaults
	gen uint64 // rises at each transition, Force and Release

	// The automatic state. It goes on beside a forced one.
	auto     State
	since    time.Time     // auto was entered
	reason   string        // why
	err      error         // why it opened; nil while closed
	openedAt time.Time     // the latest opening
	openFor  time.Duration // of the latest opening; 0 before the first
	byCalls  bool          // since it was closed, a call has opened it: only calls close it
	refusal  *OpenError    // of the latest opening

	forced *forced // nil = automatic

	shownSince time.Time // state() was entered
	changes    []Change  // of state(), not yet told

	// The ledgers of the closed state.
	streak  *ledger // calls
	window  *ledger // calls; nil = Rate is off
	checks  *ledger // health checks
	doubts  uint64  // how often Doubt was called
	settled uint64  // doubts before this one are settled

	// The way back.
	good      int     // health checks in a row
	trials    *ledger // calls
	leases    []lease // trial calls under way, in the order of their ends
	lastLease uint64

	// Whether health checks can be waited for.
	expect expectation
	heard  time.Time // the latest verdict
}

// forced is a state that somebody holds.
type forced struct {
	state   State
	reason  string
	refusal *OpenError
}

type expectation uint8

const (
	expectUntold expectation = iota // the first verdict tells
	expectOff
	expectOn
)

// leastSilence is longer than any two health checks should be apart while a
// Breaker waits for them.
const leastSilence = time.Minute

func newMachine(cfg Config, now time.Time) *machine {
	m := &machine{cfg: cfg, gen: 1, since: now, shownSince: now, reason: "new"}
	m.clearLedgers()
	return m
}

// state returns the state that callers meet.
func (m *machine) state() State {
	if m.forced != nil {
		return m.forced.state
	}
	return m.auto
}

// refused returns what a call that is not let through meets; nil while all are.
func (m *machine) refused() *OpenError {
	switch {
	case m.state() == Closed:
		return nil
	case m.forced != nil:
		return m.forced.refusal
	}
	return m.refusal
}

func (m *machine) clearLedgers() {
	m.streak = newRow(m.cfg.Failures)
	m.checks = newRow(m.cfg.Fall)
	if m.cfg.Rate > 0 {
		m.window = newWindow(m.cfg.Window, m.cfg.Rate, m.cfg.MinCalls)
	}
	m.settled = m.doubts
}

// call books a call that was let through and has ended. Calls are let through
// in every automatic state while Closed is forced.
func (m *machine) call(good bool, err error, now time.Time) {
	switch m.auto {
	case HalfOpen:
		m.trial(good, err, now)
	case Closed:
		if !good || m.streak.row() > 0 {
			m.streak.book(good)
		}
		if m.window != nil {
			m.window.book(good)
		}
		switch {
		case m.streak.tripped():
			m.open(true, row(m.cfg.Failures, "failed call"), err, now)
		case m.window != nil && m.window.tripped():
			failed, calls := m.window.share()
			m.open(true, share(failed, calls, m.cfg.Window), err, now)
		}
	}
}

// trial books a call that ended while half-open.
func (m *machine) trial(good bool, err error, now time.Time) {
	if !good {
		m.open(true, "trial call failed", err, now)
		return
	}
	m.trials.book(true)
	m.closeIfProven(now)
}

func (m *machine) closeIfProven(now time.Time) {
	if m.auto == HalfOpen && m.trials.proven() && (m.byCalls || !m.awaitsChecks() || !now.Before(m.silentAt())) {
		m.close(count(m.cfg.Trials, "good trial call"), now)
	}
}

// verdict books a health check.
func (m *machine) verdict(c Check, err error, now time.Time) {
	m.heard = now
	if m.expect == expectUntold {
		m.expect = expectOn
	}
	if c.gen != m.gen {
		return
	}
	m.settled = max(m.settled, c.doubts)
	switch m.auto {
	case Closed:
		m.checks.book(err == nil)
		switch {
		case m.checks.tripped():
			m.open(false, row(m.cfg.Fall, "failed health check"), err, now)
		case err != nil && c.doubt != "" && m.cfg.Fall > 0:
			m.open(false, "failed health check confirmed "+c.doubt, err, now)
		}
	case Open:
		m.verdictOpen(err, now)
	case HalfOpen:
		m.verdictHalfOpen(err, now)
	}
}

func (m *machine) verdictOpen(err error, now time.Time) {
	if err != nil {
		m.good = 0
		return
	}
	m.good = min(m.good+1, maxCount)
	if now.Before(m.openedAt.Add(m.openFor)) {
		return
	}
	if m.byCalls {
		if m.good >= m.cfg.Rise {
			m.enter(HalfOpen, row(m.cfg.Rise, "good health check"), now)
		}
		return
	}
	m.good = 1 // the row that closes it begins after the open time
	m.enter(HalfOpen, "good health check", now)
	m.closeIfRisen(now)
}

func (m *machine) verdictHalfOpen(err error, now time.Time) {
	if err == nil {
		m.good = min(m.good+1, maxCount)
		m.closeIfRisen(now)
		return
	}
	m.good = 0
	if m.cfg.Fall > 0 {
		m.open(false, "health check failed", err, now)
	}
}

func (m *machine) closeIfRisen(now time.Time) {
	if !m.byCalls && m.good >= m.cfg.Rise {
		m.close(row(m.cfg.Rise, "good health check"), now)
	}
}

// awaitsChecks reports whether it is health checks that bring the Breaker back.
func (m *machine) awaitsChecks() bool { return m.expect == expectOn && m.cfg.Fall > 0 }

// silentAt returns when, without another verdict, health checks have stopped
// to come and are not waited for any longer.
func (m *machine) silentAt() time.Time {
	wait := m.cfg.MaxOpenFor
	if wait <= math.MaxInt64/2 {
		wait *= 2
	}
	return later(m.heard, m.openedAt).Add(max(wait, leastSilence))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// due returns when tick has to be called next; ok is false if nothing is due.
func (m *machine) due() (at time.Time, ok bool) {
	switch {
	case m.auto == Open:
		at = m.openedAt.Add(m.openFor)
		if m.awaitsChecks() {
			at = later(at, m.silentAt())
		}
		return at, true
	case m.auto == HalfOpen && len(m.leases) > 0:
		return m.leases[0].end, true
	}
	return time.Time{}, false
}

// tick does what is due at now.
func (m *machine) tick(now time.Time) {
	at, ok := m.due()
	if !ok || now.Before(at) {
		return
	}
	if m.auto == Open {
		m.good = 0
		m.enter(HalfOpen, "open time over", now)
		return
	}
	m.endLease(now)
}

// open enters Open. The open time doubles if the Breaker had not been closed
// for StableFor.
func (m *machine) open(byCalls bool, reason string, err error, now time.Time) {
	switch {
	case m.openFor == 0, m.auto == Closed && now.Sub(m.since) >= m.cfg.StableFor:
		m.openFor = m.cfg.OpenFor
	case m.openFor > m.cfg.MaxOpenFor/2:
		m.openFor = m.cfg.MaxOpenFor
	default:
		m.openFor *= 2
	}
	m.byCalls = byCalls || m.auto == HalfOpen && m.byCalls
	m.openedAt, m.err = now, err
	m.refusal = &OpenError{Since: now, RetryAfter: m.openFor, Reason: reason}
	m.good, m.leases = 0, nil
	m.trials = newTrials(m.cfg.Trials)
	m.enter(Open, reason, now)
}

func (m *machine) close(reason string, now time.Time) {
	m.err, m.leases, m.trials, m.byCalls, m.good = nil, nil, nil, false, 0
	m.clearLedgers()
	m.enter(Closed, reason, now)
}

// enter makes a transition of the automatic state. While another one is forced
// it is not shown.
func (m *machine) enter(to State, reason string, now time.Time) {
	from := m.auto
	m.auto, m.since, m.reason = to, now, reason
	m.gen++
	if m.forced == nil {
		m.show(from, reason, now)
	}
}

// show records that state() is no longer from.
func (m *machine) show(from State, reason string, now time.Time) {
	m.shownSince = now
	c := Change{From: from, To: m.state(), Reason: reason, At: now, Generation: m.gen}
	if c.To == Open && m.forced == nil {
		c.Err, c.OpenFor = m.err, m.openFor
	}
	m.changes = append(m.changes, c)
}
