package breaker

import (
	"testing"
	"time"
)

// FuzzBreaker drives the machine with any evidence at any time and looks for a
// state that should not be, or one that nothing leads out of.
func FuzzBreaker(f *testing.F) {
	f.Fuzz(func(t *testing.T, shape, script []byte) {
		if len(shape) < 6 {
			return
		}
		cfg := Config{
			Failures: []int{0, 1, 3, -1}[shape[0]%4],
			Fall:     []int{0, 1, -1, 2}[shape[1]%4],
			Rise:     int(shape[2] % 4),
			Trials:   int(shape[3] % 4),
			Rate:     []float64{0, 0.5}[shape[4]%2],
			MinCalls: 2,
			OpenFor:  time.Duration(shape[5]%4) * 700 * time.Millisecond,
		}
		if cfg.Validate() != nil {
			return
		}
		fz := newFuzzed(t, cfg.withDefaults())
		for _, b := range script {
			fz.step(b)
			fz.check()
		}
		fz.heal()
		fz.die()
	})
}

// fuzzed is a machine with a clock of its own, and what has begun.
type fuzzed struct {
	*testing.T
	m       *machine
	now     time.Time
	permits []fuzzedPermit
	checks  []Check
	shown   State
	gen     uint64
}

type fuzzedPermit struct{ gen, lease uint64 }

func newFuzzed(t *testing.T, cfg Config) *fuzzed {
	now := time.Now()
	return &fuzzed{T: t, m: newMachine(cfg, now), now: now}
}

func (f *fuzzed) step(b byte) {
	low := int(b & 0x0f)
	good := low&1 == 1
	f.m.tick(f.now)
	switch b >> 4 & 0x07 {
	case 1:
		f.call([]Outcome{Failure, Success, Ignored}[low%3])
	case 2:
		f.allow()
	case 3:
		if len(f.permits) > 0 {
			f.settle(low%len(f.permits), []Outcome{Failure, Success, Ignored}[low%3])
		}
	case 4:
		f.verdict(f.begin(), good)
	case 5:
		switch low % 6 {
		case 0:
			f.m.force(Open, "fuzz", f.now)
		case 1:
			f.m.force(Closed, "fuzz", f.now)
		case 2, 3:
			f.m.release(f.now)
		default:
			f.m.expectChecks(good, f.now)
		}
	case 6:
		if low < 4 || len(f.checks) == 0 {
			f.checks = append(f.checks, f.begin())
		} else {
			f.verdict(f.checks[low%len(f.checks)], good)
		}
	case 7:
		f.now = f.now.Add(time.Duration(low*low*low) * 10 * time.Millisecond)
	default:
		if f.m.auto == Closed {
			f.m.doubts++
		}
	}
}

func (f *fuzzed) begin() Check {
	return Check{gen: f.m.gen, doubts: f.m.doubts, doubt: f.m.doubt()}
}

func (f *fuzzed) verdict(c Check, good bool) {
	before := *f.m
	f.m.verdict(c, verdictErr(good), f.now)
	if c.gen != before.gen && (f.m.gen != before.gen || f.m.good != before.good || f.m.settled != before.settled) {
		f.Fatal("a void verdict has changed something")
	}
}

func (f *fuzzed) allow() bool {
	switch f.m.state() {
	case Closed:
		f.permits = append(f.permits, fuzzedPermit{gen: f.m.gen})
		return true
	case HalfOpen:
		id, ok := f.m.lease(f.now)
		if ok {
			f.permits = append(f.permits, fuzzedPermit{f.m.gen, id})
		}
		return ok
	}
	return false
}

func (f *fuzzed) settle(i int, o Outcome) {
	p := f.permits[i]
	f.permits[i].gen = 0 // a Permit counts once
	if p.gen == f.m.gen {
		f.m.settle(p.lease, o, verdictErr(o != Failure), f.now)
	}
}

func (f *fuzzed) call(o Outcome) {
	if f.allow() {
		f.settle(len(f.permits)-1, o)
	}
}

func (f *fuzzed) check() {
	m := f.m
	for _, c := range m.changes {
		if c.From != f.shown || c.To == c.From || c.Generation <= f.gen {
			f.Fatalf("%+v after %v in generation %d", c, f.shown, f.gen)
		}
		f.shown, f.gen = c.To, c.Generation
	}
	m.changes = nil
	switch {
	case f.shown != m.state():
		f.Fatalf("told %v, is %v", f.shown, m.state())
	case len(m.leases) > m.cfg.Trials:
		f.Fatalf("%d trials under way", len(m.leases))
	case len(m.leases) > 0 && (m.forced != nil || m.auto != HalfOpen):
		f.Fatalf("trials under way while %v", m.state())
	case m.auto != Closed && (m.openFor < m.cfg.OpenFor || m.openFor > m.cfg.MaxOpenFor):
		f.Fatalf("open for %v", m.openFor)
	case m.auto != Closed && (m.refusal == nil || m.trials == nil):
		f.Fatal("open without a refusal or a way back")
	}
	if _, ok := m.due(); m.auto == Open && !ok {
		f.Fatal("open, and nothing is due")
	}
}

// heal lets the store be well: the machine has to close.
func (f *fuzzed) heal() {
	f.m.release(f.now)
	for range 200 {
		f.now = f.now.Add(time.Second)
		f.m.tick(f.now)
		f.call(Success)
		if f.m.expect == expectOn {
			f.verdict(f.begin(), true)
		}
		f.check()
		if f.m.auto == Closed {
			return
		}
	}
	f.Fatalf("not closed after 200 s of good evidence: %+v", f.m.status())
}

// die lets the store fail: the machine has to open, at the latest when more
// calls have failed than have been made before.
func (f *fuzzed) die() {
	for range 5 + len(f.permits) {
		f.call(Failure)
		f.verdict(f.begin(), false)
		f.check()
		if f.m.auto != Closed {
			return
		}
	}
	f.Fatalf("not open after failed calls and checks: %+v", f.m.status())
}
