package resilient

import "github.com/holdfastkv/holdfast/breaker"

// Status returns a snapshot of s, from what is known already: it asks nobody.
// The condition is Unknown until the first verdict of a health check, unless
// the breaker is not closed; Degraded while the breaker is half-open, calls or
// the latest check give reason to doubt, or that check was slow; Down while the
// breaker is open and after Close.
//
// InFlight counts the calls that are under way if Config.MaxInFlight or an
// Observer is set, because a counter that all callers share costs them more
// than the rest of s; calls and checks that were left behind are counted always.
func (s *Store) Status() Status {
	b := s.breaker.Status()
	st := Status{
		Name: s.cfg.Name, Kind: s.kind, Condition: s.condition(b),
		State: b.State.String(), Since: b.Since, Reason: b.Reason, Forced: b.Forced, InFlight: s.underWay(),
	}
	if s.closed.Load() {
		st.Reason = "closed"
	}
	if last := s.flight.last.Load(); last != nil {
		st.LastProbe = *last
	}
	return st
}

func (s *Store) condition(b breaker.Status) Condition {
	last := s.flight.last.Load()
	switch {
	case s.closed.Load() || b.State == breaker.Open:
		return Down
	case b.State == breaker.HalfOpen:
		return Degraded
	case last == nil || !s.flight.sure.Load():
		return Unknown
	case b.Doubt || last.Err != nil || last.Slow:
		return Degraded
	}
	return Up
}

// underWay counts the calls under way and those left behind.
func (s *Store) underWay() int {
	n := int(s.inFlight.Load())
	if s.leftover != nil {
		n += s.leftover()
	}
	s.flight.mu.Lock()
	hung := s.flight.mu.hung
	s.flight.mu.Unlock()
	if hung.hangs() {
		n++
	}
	return n
}
