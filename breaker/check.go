package breaker

import "time"

// Check is a health check that has begun. It is a value; the zero Check does
// nothing.
type Check struct {
	b      *Breaker
	gen    uint64 // the verdict is void in any other
	doubts uint64 // the doubts that it settles
	doubt  string // why it began in doubt; "" = it did not
}

// StartCheck begins a health check. It remembers the state it began in and
// whether b was in doubt. It tells no change: one that is due comes after it.
func (b *Breaker) StartCheck() Check {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.startCheckLocked()
}

func (b *Breaker) startCheckLocked() Check {
	return Check{b: b, gen: b.m.gen, doubts: b.m.doubts, doubt: b.m.doubt()}
}

// Done gives the verdict of the check: healthy if err is nil. It is void if
// there was a transition, Force or Release since StartCheck. A check that began
// in doubt and failed opens a closed Breaker at once, unless Config.Fall is
// negative. Done settles the doubts raised by Doubt before StartCheck, whatever
// the verdict, and never the calls' failures. Call it once; a check that says
// nothing needs no Done.
func (c Check) Done(err error) { c.Book(err)() }

// Book is Done for a caller with a lock that an OnChange may wait for, one that
// keeps verdicts in order for instance. It gives the verdict and leaves the
// changes untold, those of others too, until tell is called, which has to be
// soon, once, and without that lock.
func (c Check) Book(err error) (tell func()) {
	if c.b == nil {
		return func() {}
	}
	now := c.b.lock()
	c.b.verdictLocked(c, err, now)
	if c.b.leave(now) {
		return c.b.tell
	}
	return func() {}
}

// ReportHealth gives the verdict of a health check that was short enough to
// have begun now: healthy if err is nil. It is StartCheck and Done at one time.
func (b *Breaker) ReportHealth(err error) {
	now := b.lock()
	b.verdictLocked(b.startCheckLocked(), err, now)
	b.unlock(now)
}

func (b *Breaker) verdictLocked(c Check, err error, now time.Time) {
	if !b.ended {
		b.m.verdict(c, err, now)
	}
}

// Doubt says that a call hangs, or that a caller gave up late. The next health
// check that begins is made in doubt.
func (b *Breaker) Doubt() {
	now := b.lock()
	if !b.ended {
		b.m.doubts++ // which counts for nothing unless it is closed
	}
	b.unlock(now)
}

// InDoubt reports whether a health check is wanted at once: b is closed, and
// the two latest calls failed or Doubt was called since the beginning of the
// latest finished check. It is one atomic load.
func (b *Breaker) InDoubt() bool { return b.doubt.Load() }

// ExpectChecks says whether health checks come. While they do, an open Breaker
// waits for good ones; if none comes for twice MaxOpenFor, and a minute at
// least, it waits no longer. While they don't, OpenFor alone leads to half-open.
// At the start they are not expected; unless ExpectChecks was called before, the
// first verdict switches them on. Verdicts count either way.
func (b *Breaker) ExpectChecks(on bool) {
	now := b.lock()
	if !b.ended {
		b.m.expectChecks(on, now)
	}
	b.unlock(now)
}

// doubt returns what a failed health check would confirm; "" if there is no
// doubt.
func (m *machine) doubt() string {
	switch {
	case m.auto != Closed:
		return ""
	case m.streak.row() >= 2:
		return "failing calls"
	case m.settled < m.doubts:
		return "a hung call"
	}
	return ""
}

func (m *machine) expectChecks(on bool, now time.Time) {
	if on {
		m.expect, m.heard = expectOn, now
		return
	}
	m.expect = expectOff
	m.closeIfProven(now)
	m.tick(now)
}
