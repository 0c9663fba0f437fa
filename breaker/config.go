package breaker

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says when a Breaker opens and how it comes back. The zero value is
// valid: 0 stands for the default written beside the field.
type Config struct {
	Failures   int           // consecutive failed calls that open it; 0 = 5, negative = never by count
	Rate       float64       // share of failed calls in Window that opens it (0 < Rate <= 1); 0 = off. While on, every finished call takes a lock
	MinCalls   int           // calls in Window before Rate counts; 0 = 20
	Window     time.Duration // kept in tenths: at least nine tenths of it are looked at; 0 = 10s, else at least 1ms
	Fall       int           // consecutive failed health checks that open it; 0 = 3, negative = health checks neither open it nor are waited for
	Rise       int           // consecutive good health checks that bring it back; 0 = 2
	Trials     int           // good trial calls needed to close what calls, not checks, had opened, and trial calls let through at once; 0 = 2
	Lease      time.Duration // how long an unsettled trial holds its place; then it has failed; 0 = 2s
	OpenFor    time.Duration // least time open; 0 = 1s, else at least 1µs; doubles at each relapse
	MaxOpenFor time.Duration // OpenFor's growth ends here; 0 = 30s, or OpenFor if that is longer
	StableFor  time.Duration // closed this long without relapse resets OpenFor's growth; 0 = 1m
	OnChange   func(Change)  // every change, in order, one at a time, no lock held, on the goroutine that caused it or one that tells already; a panic in it is contained; nil = nobody is told
}

const (
	maxCount  = 1 << 30 // of every ledger; gobreaker counts in 32 bits
	minWindow = time.Millisecond
	minOpen   = time.Microsecond
)

// withDefaults returns c with every 0 replaced by its default.
func (c Config) withDefaults() Config {
	c.Failures = orDefault(c.Failures, 5)
	c.MinCalls = orDefault(c.MinCalls, 20)
	c.Window = orDefault(c.Window, 10*time.Second)
	c.Fall = orDefault(c.Fall, 3)
	c.Rise = orDefault(c.Rise, 2)
	c.Trials = orDefault(c.Trials, 2)
	c.Lease = orDefault(c.Lease, 2*time.Second)
	c.OpenFor = orDefault(c.OpenFor, time.Second)
	c.MaxOpenFor = orDefault(c.MaxOpenFor, max(30*time.Second, c.OpenFor))
	c.StableFor = orDefault(c.StableFor, time.Minute)
	return c
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Validate returns what New would find wrong with c: every fault at once,
// joined, each naming its field; nil if there is none. A configuration that
// could never open, or never close again, is a fault.
func (c Config) Validate() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("breaker: Config.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	for _, f := range []struct {
		name string
		n    int
		neg  bool // negative means never
	}{
		{"Failures", c.Failures, true},
		{"MinCalls", c.MinCalls, false},
		{"Fall", c.Fall, true},
		{"Rise", c.Rise, false},
		{"Trials", c.Trials, false},
	} {
		if f.n < 0 && !f.neg {
			fault(f.name, "%d is negative", f.n)
		}
		if f.n > maxCount {
			fault(f.name, "%d can never be reached: counts end at %d", f.n, maxCount)
		}
	}
	for _, f := range []struct {
		name  string
		d     time.Duration
		least time.Duration
	}{
		{"Window", c.Window, minWindow},
		{"Lease", c.Lease, 0},
		{"OpenFor", c.OpenFor, minOpen},
		{"MaxOpenFor", c.MaxOpenFor, 0},
		{"StableFor", c.StableFor, 0},
	} {
		switch {
		case f.d < 0:
			fault(f.name, "%s is negative", f.d)
		case f.d > 0 && f.d < f.least:
			fault(f.name, "%s is shorter than %s", f.d, f.least)
		}
	}
	if math.IsNaN(c.Rate) || c.Rate < 0 || c.Rate > 1 {
		fault("Rate", "%v is not a share from 0 to 1", c.Rate)
	}
	d := c.withDefaults()
	if d.OpenFor > 0 && d.MaxOpenFor > 0 && d.MaxOpenFor < d.OpenFor {
		fault("MaxOpenFor", "%s is shorter than OpenFor, %s", d.MaxOpenFor, d.OpenFor)
	}
	if c.Failures < 0 && c.Fall < 0 && c.Rate == 0 {
		fault("Failures", "it could never open: Failures and Fall are negative and Rate is 0")
	}
	return errors.Join(faults...)
}
