package breaker

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// refModel says what a Breaker should do. It is written for reading: plain
// counters, a list of calls, time as a duration since the start.
type refModel struct {
	Config // with every default filled in
	now    time.Duration
	state  State // the automatic one
	held   *State
	epoch  int // what began in another one is void

	since, opened, openFor time.Duration
	callsOpened            bool

	failedCalls, failedChecks, goodChecks, goodTrials int
	window                                            []refCall
	windowFrom                                        time.Duration
	raised, settled                                   int // doubts
	places                                            []refPlace
	expect                                            string // "", "on", "off"
	heard                                             time.Duration

	told []string
}

type refCall struct {
	at   time.Duration
	good bool
}

type refPlace struct {
	permit int
	end    time.Duration
}

func (r *refModel) shown() State {
	if r.held != nil {
		return *r.held
	}
	return r.state
}

func (r *refModel) inDoubt() bool {
	return r.state == Closed && (r.failedCalls >= 2 || r.raised > r.settled)
}

func (r *refModel) clear() {
	r.failedCalls, r.failedChecks, r.window, r.windowFrom, r.settled = 0, 0, nil, r.now, r.raised
}

func (r *refModel) enter(s State) {
	from := r.shown()
	r.state, r.since = s, r.now
	r.epoch++
	r.places = nil
	if s == Closed {
		r.clear()
	}
	r.tell(from)
}

func (r *refModel) tell(from State) {
	if to := r.shown(); from != to {
		r.told = append(r.told, fmt.Sprintf("%v: %v -> %v", r.now, from, to))
	}
}

func (r *refModel) open(byCalls bool) {
	relapse := r.openFor > 0 && (r.state == HalfOpen || r.now-r.since < r.StableFor)
	if relapse {
		r.openFor = min(2*r.openFor, r.MaxOpenFor)
	} else {
		r.openFor = r.OpenFor
	}
	r.callsOpened = byCalls || r.state == HalfOpen && r.callsOpened
	r.opened, r.goodChecks, r.goodTrials = r.now, 0, 0
	r.enter(Open)
}

// silence is when health checks, without another one, count as gone.
func (r *refModel) silence() time.Duration {
	return max(r.opened, r.heard) + max(2*r.MaxOpenFor, time.Minute)
}

func (r *refModel) checksCome() bool {
	return r.expect == "on" && r.Fall > 0 && r.now < r.silence()
}

// due is when something happens by itself; -1 is never.
func (r *refModel) due() time.Duration {
	switch {
	case r.state == Open && r.expect == "on" && r.Fall > 0:
		return max(r.opened+r.openFor, r.silence())
	case r.state == Open:
		return r.opened + r.openFor
	case r.state == HalfOpen && len(r.places) > 0:
		return slices.MinFunc(r.places, func(a, b refPlace) int { return cmp.Compare(a.end, b.end) }).end
	}
	return -1
}

func (r *refModel) sleep(d time.Duration) {
	end := r.now + d
	for due := r.due(); due >= 0 && due <= end; due = r.due() {
		r.now = max(r.now, due)
		if r.state == Open {
			r.goodChecks = 0
			r.enter(HalfOpen)
		} else {
			r.open(true)
		}
	}
	r.now = end
}

func (r *refModel) call(good bool) {
	switch r.state {
	case HalfOpen:
		if !good {
			r.open(true)
			return
		}
		r.goodTrials++
		r.closeIfTried()
	case Closed:
		r.window = append(r.window, refCall{r.now, good})
		r.failedCalls++
		if good {
			r.failedCalls = 0
			return
		}
		if r.Failures > 0 && r.failedCalls >= r.Failures || r.rateReached() {
			r.open(true)
		}
	}
}

func (r *refModel) rateReached() bool {
	tenth := (r.Window + 9) / 10
	age := func(at time.Duration) int64 { return int64((at - r.windowFrom) / tenth) }
	all, bad := 0, 0
	for _, c := range r.window {
		if age(r.now)-age(c.at) >= 10 {
			continue
		}
		all++
		if !c.good {
			bad++
		}
	}
	return r.Rate > 0 && all >= r.MinCalls && float64(bad)/float64(all) >= r.Rate
}

func (r *refModel) closeIfTried() {
	if r.state == HalfOpen && r.goodTrials >= r.Trials && (r.callsOpened || !r.checksCome()) {
		r.goodChecks = 0
		r.enter(Closed)
	}
}

func (r *refModel) verdict(epoch, raised int, doubt, good bool) {
	r.heard = r.now
	if r.expect == "" {
		r.expect = "on"
	}
	if epoch != r.epoch {
		return
	}
	r.settled = max(r.settled, raised)
	if good {
		r.failedChecks = 0
		r.goodChecks++
		r.goodVerdict()
		return
	}
	r.failedChecks++
	r.goodChecks = 0
	switch {
	case r.Fall < 0 || r.state == Open:
	case r.state == HalfOpen, doubt, r.failedChecks >= r.Fall:
		r.open(false)
	}
}

func (r *refModel) goodVerdict() {
	if r.state == Open && r.now >= r.opened+r.openFor {
		if r.callsOpened && r.goodChecks < r.Rise {
			return
		}
		if !r.callsOpened {
			r.goodChecks = 1
		}
		r.enter(HalfOpen)
	}
	if r.state == HalfOpen && !r.callsOpened && r.goodChecks >= r.Rise {
		r.enter(Closed)
	}
	if r.state == Closed {
		r.goodChecks = 0
	}
}

func (r *refModel) hold(s *State) {
	from := r.shown()
	if r.held == nil && s == nil {
		return
	}
	r.held = s
	r.epoch++
	r.places = nil
	r.clear()
	r.tell(from)
}
