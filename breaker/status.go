package breaker

import "time"

// Status is a snapshot of a Breaker.
type Status struct {
	State        State         // what calls meet
	Since        time.Time     // when State was entered
	Reason       string        // why
	Err          error         // the failure that opened it; nil while closed or forced
	Generation   uint64        // rises at each transition, Force and Release
	OpenFor      time.Duration // the least time open of this opening; 0 while closed or forced
	Forced       bool          // State is held by Force
	Doubt        bool          // a health check is wanted at once
	FailedCalls  int           // in a row, while closed
	FailedChecks int           // in a row, while closed
	GoodChecks   int           // in a row, while open or half-open
	Trials       int           // good trial calls, while half-open
	InTrial      int           // trial calls under way
}

// Status returns one snapshot of b. It changes nothing.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.m.status()
}

func (m *machine) status() Status {
	s := Status{
		State: m.state(), Since: m.shownSince, Reason: m.reason, Generation: m.gen,
		Forced: m.forced != nil, Doubt: m.doubt() != "", GoodChecks: m.good, InTrial: len(m.leases),
	}
	switch m.auto {
	case Closed:
		s.FailedCalls, s.FailedChecks = m.streak.row(), m.checks.row()
	case HalfOpen:
		s.Trials = m.trials.successes(m.cfg.Trials)
	}
	if m.forced != nil {
		s.Reason = m.forced.reason
	} else if m.auto != Closed {
		s.Err, s.OpenFor = m.err, m.openFor
	}
	return s
}
