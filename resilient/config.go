package resilient

import (
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// Config says how a Store guards what it wraps. The zero Config works. A time
// that is longer than 104 days is taken for that.
type Config struct {
	Name        string                 // in events, errors, metrics; "" = what BackendName says
	Timeout     time.Duration          // one attempt at one key; 0 = 2s, negative = none
	LongTimeout time.Duration          // one attempt at List or a batch; 0 = 10 x Timeout, negative = none
	Retry       Retry                  // zero = no retries
	MaxInFlight int                    // calls in flight; more are refused with ErrBusy; 0 = no bound
	Keys        func(key string) error // nil = CheckKey; the empty key is always refused
	Breaker     breaker.Config         // its Lease 0 = the longest of the timeouts, or 2s without one
	Probe       Probe
	Classify    func(err error) Class // nil = the store's Classifier; OK for a non-nil error means "don't know": DefaultClassify decides
	NotFound    error                 // a foreign sentinel that our misses match as well
	Observer    Observer              // nil = nobody; with one, calls in flight are counted
}

// Retry says how often a failed attempt is made again. Only what certainly was
// not applied, what the store rolled back, and reads are tried again, and never
// while the breaker is not closed.
type Retry struct {
	Attempts        int           // all tries together; 0 or 1 = no retry
	Base, Max       time.Duration // full-jitter exponential delay; 0 = 10ms, 1s
	Budget          float64       // retries allowed per success, above a reserve of ten; 0 = 0.2, negative = no budget
	AmbiguousWrites bool          // also retry writes that may have been applied
}

// Probe says when and how the health of a store is checked.
type Probe struct {
	Interval        time.Duration // while all is well; 0 = 5s, negative = no probing: the only checks are those that callers of Health ask for
	FastInterval    time.Duration // while anything is in doubt; 0 = 1s, or Interval if that is less
	DownInterval    time.Duration // while the breaker is open, x1.5 after each failed check; 0 = 2s
	MaxDownInterval time.Duration // 0 = 30s, or DownInterval if that is more
	Timeout         time.Duration // 0 = 2s; a Health that ignores ctx counts as failed at this time
	SlowAfter       time.Duration // a slower good answer is reported as slow; 0 = 1s, or half of Timeout if that is less
	Jitter          float64       // 0 = 0.25: every interval is spread by +-25 %; negative = none
}

// healthTimeout bounds a health check for which nothing else is said.
const healthTimeout = 2 * time.Second

// longest is what a timeout or an interval that is longer is taken for, 104
// days: nobody waits for its end, and what is reckoned from it, ten times as
// long for 64 members in turn, still is a time.Duration.
const longest = time.Duration(1 << 53)

// withDefaults returns c with each zero field replaced by its default and, in
// the timeouts, "none" turned into 0.
func (c Config) withDefaults() Config {
	switch {
	case c.Timeout == 0:
		c.Timeout = 2 * time.Second
	case c.Timeout < 0:
		c.Timeout = 0
	}
	c.Timeout = min(c.Timeout, longest)
	switch {
	case c.LongTimeout == 0:
		c.LongTimeout = 10 * c.Timeout
	case c.LongTimeout < 0:
		c.LongTimeout = 0
	}
	c.LongTimeout = min(c.LongTimeout, 10*longest)
	if c.Breaker.Lease == 0 {
		c.Breaker.Lease = max(c.Timeout, c.LongTimeout)
	}
	c.Retry = c.Retry.withDefaults()
	c.Probe = c.Probe.withDefaults()
	return c
}

func (r Retry) withDefaults() Retry {
	orDefault(&r.Base, 10*time.Millisecond)
	orDefault(&r.Max, max(time.Second, r.Base))
	orDefault(&r.Budget, 0.2)
	return r
}

func (p Probe) withDefaults() Probe {
	orDefault(&p.Interval, 5*time.Second)
	orDefault(&p.FastInterval, time.Second)
	if p.Interval > 0 {
		p.FastInterval = min(p.FastInterval, p.Interval)
	}
	orDefault(&p.DownInterval, 2*time.Second)
	orDefault(&p.MaxDownInterval, max(30*time.Second, p.DownInterval))
	orDefault(&p.Timeout, healthTimeout)
	orDefault(&p.SlowAfter, min(time.Second, p.Timeout/2))
	for _, d := range []*time.Duration{&p.Interval, &p.FastInterval, &p.DownInterval, &p.MaxDownInterval} {
		*d = min(*d, longest)
	}
	orDefault(&p.Jitter, 0.25)
	p.Jitter = max(p.Jitter, 0)
	return p
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// timeout returns how long one attempt of op may take; 0 = for ever.
func (c *Config) timeout(op Op) time.Duration {
	switch op {
	case OpGet, OpSet, OpDelete:
		return c.Timeout
	default:
		return c.LongTimeout
	}
}
