package resilient

import (
	"math/rand/v2"
	"time"
)

// prober is the goroutine of a Store that asks for its health. No code but our
// own runs on it: the checks and all that is told of them have goroutines of
// their own, so nothing can end it early.
type prober struct {
	urgent chan struct{} // a check is wanted now
	moved  chan struct{} // the state changed: so may the interval have
	ended  chan struct{}
}

func newProber() *prober {
	return &prober{urgent: make(chan struct{}, 1), moved: make(chan struct{}, 1), ended: make(chan struct{})}
}

// hurry asks for a health check before its time.
func (s *Store) hurry() {
	if s.prober != nil {
		poke(s.prober.urgent)
	}
}

func (p *prober) wake() { poke(p.moved) }

// poke leaves a message that says no more than that it is there.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run asks for the store's health until Close, or until the store says that it
// cannot tell.
func (p *prober) run(s *Store) {
	defer close(p.ended)
	pace := pace{cfg: s.cfg.Probe}
	first, atOnce := pace.first(rand.Float64()), make(chan struct{}, 1) //#nosec G404 -- jitter, nothing secret
	if first == 0 {
		// Not by a timer: with go1.26.8 the race detector crashes when two
		// timers for no time at all fire at once in a synctest bubble.
		poke(atOnce)
		first = pace.cfg.FastInterval
	}
	timer := time.NewTimer(first)
	defer timer.Stop()
	var last, doubted time.Time // when the latest check ended, and the latest that began in doubt
	for {
		select {
		case <-s.closing:
			return
		case <-p.moved:
			if !last.IsZero() {
				timer.Reset(time.Until(last.Add(pace.wait(s.mood(), rand.Float64())))) //#nosec G404 -- jitter, nothing secret
			}
			continue
		case <-p.urgent:
			if !s.breaker.InDoubt() {
				continue // settled in the meantime
			}
			// A store that is healthy and whose calls fail stays in doubt: it
			// must not be asked without end.
			if wait := time.Until(doubted.Add(pace.cfg.FastInterval)); wait > 0 {
				timer.Reset(wait)
				continue
			}
		case <-timer.C:
		case <-atOnce:
		}
		r := s.ask()
		if r == nil {
			return
		}
		select {
		case <-r.done:
		case <-s.closing:
			return
		}
		if r.verdict.unknown {
			return
		}
		last = time.Now()
		switch {
		case r.doubted:
			doubted = last
		case s.breaker.InDoubt(): // it was under way when the doubt came up, which it does not settle
			s.hurry()
		}
		timer.Reset(pace.next(s.mood(), rand.Float64())) //#nosec G404 -- jitter, nothing secret
	}
}

// mood is what the intervals depend on.
func (s *Store) mood() mood {
	last := s.flight.last.Load()
	return mood{state: s.breaker.State(), doubt: s.breaker.InDoubt(), good: last == nil || last.Err == nil}
}
