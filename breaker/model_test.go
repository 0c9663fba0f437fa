package breaker

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
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

// modelOp is one step of a script, of a kind named in the switch of perform.
type modelOp struct {
	kind string
	pick int // of the permits or checks that there are
	good bool
	d    time.Duration
}

type modelPermit struct {
	id     int
	permit Permit
	epoch  int
	done   bool
}

type modelCheck struct {
	check         Check
	epoch, raised int
	doubt         bool
}

// modelRun performs a script on a Breaker and on the model.
type modelRun struct {
	b       *Breaker
	r       *refModel
	start   time.Time
	told    []string
	reasons map[string]int
	permits []modelPermit
	checks  []modelCheck
	last    uint64 // generation
	faults  []string

	mu sync.Mutex // the timer's goroutine and the script's
}

func (run *modelRun) onChange(c Change) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.told = append(run.told, fmt.Sprintf("%v: %v -> %v", c.At.Sub(run.start), c.From, c.To))
	run.reasons[strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789.%", r) {
			return -1
		}
		return r
	}, c.Reason), " ")]++
	if c.Generation <= run.last {
		run.faults = append(run.faults, fmt.Sprintf("generation %d after %d", c.Generation, run.last))
	}
	run.last = c.Generation
}

func (run *modelRun) perform(op modelOp) {
	b, r := run.b, run.r
	switch op.kind {
	case "sleep":
		time.Sleep(op.d)
		synctest.Wait()
		r.sleep(op.d)
	case "sleep-until-due", "sleep-until-just-before":
		d := r.due() - r.now
		if op.kind == "sleep-until-just-before" {
			d--
		}
		if d > 0 {
			run.perform(modelOp{kind: "sleep", d: d})
		}
	case "allow":
		run.allow()
	case "settle":
		if len(run.permits) > 0 {
			run.settle(&run.permits[len(run.permits)-1-op.pick%len(run.permits)], op.good)
		}
	case "ignore":
		if len(run.permits) > 0 {
			p := &run.permits[op.pick%len(run.permits)]
			p.permit.Done(Ignored, nil)
			run.leave(p)
		}
	case "call":
		before := len(run.permits)
		run.allow()
		if len(run.permits) > before {
			run.settle(&run.permits[before], op.good)
		}
	case "check":
		run.checks = append(run.checks, modelCheck{b.StartCheck(), r.epoch, r.raised, r.inDoubt()})
	case "verdict":
		if len(run.checks) > 0 {
			c := run.checks[len(run.checks)-1-op.pick%len(run.checks)]
			c.check.Done(verdictErr(op.good))
			r.verdict(c.epoch, c.raised, c.doubt, op.good)
		}
	case "health":
		b.ReportHealth(verdictErr(op.good))
		r.verdict(r.epoch, r.raised, r.inDoubt(), op.good)
	case "doubt":
		b.Doubt()
		if r.state == Closed {
			r.raised++
		}
	case "force":
		s := Open
		if op.good {
			s = Closed
		}
		if err := b.Force(s, "test"); err != nil {
			run.faults = append(run.faults, err.Error())
		}
		r.hold(&s)
	case "release":
		b.Release()
		r.hold(nil)
	case "expect":
		b.ExpectChecks(op.good)
		r.expect = "off"
		if op.good {
			r.expect, r.heard = "on", r.now
		}
		r.closeIfTried()
		r.sleep(0)
	}
}

func verdictErr(good bool) error {
	if good {
		return nil
	}
	return errDown
}

func (run *modelRun) allow() {
	r := run.r
	p, err := run.b.Allow()
	s := r.shown()
	want := s == Closed || s == HalfOpen && len(r.places) < r.Trials
	if (err == nil) != want || err != nil && !errors.Is(err, ErrOpen) {
		run.faults = append(run.faults, fmt.Sprintf("Allow while %v with %d trials under way: %v", s, len(r.places), err))
	}
	if err != nil || !want {
		return
	}
	if s == HalfOpen {
		r.places = append(r.places, refPlace{len(run.permits), r.now + r.Lease})
	}
	run.permits = append(run.permits, modelPermit{id: len(run.permits), permit: p, epoch: r.epoch})
}

func (run *modelRun) settle(p *modelPermit, good bool) {
	o := Failure
	if good {
		o = Success
	}
	p.permit.Done(o, errDown)
	if run.leave(p) {
		run.r.call(good)
	}
}

// leave reports whether the permit was worth anything and gives its place back.
func (run *modelRun) leave(p *modelPermit) bool {
	alive := !p.done && p.epoch == run.r.epoch
	p.done = true
	if alive {
		run.r.places = slices.DeleteFunc(run.r.places, func(q refPlace) bool { return q.permit == p.id })
	}
	return alive
}

func (run *modelRun) compare() {
	run.mu.Lock()
	defer run.mu.Unlock()
	b, r := run.b, run.r
	want := Status{
		State: r.shown(), Forced: r.held != nil, Doubt: r.inDoubt(), GoodChecks: r.goodChecks, InTrial: len(r.places),
	}
	switch r.state {
	case Closed:
		want.FailedCalls, want.FailedChecks, want.GoodChecks = r.failedCalls, r.failedChecks, 0
	case HalfOpen:
		want.Trials = min(r.goodTrials, r.Trials)
	}
	if r.held == nil && r.state != Closed {
		want.OpenFor = r.openFor
	}
	got := b.Status()
	got.Since, got.Reason, got.Err, got.Generation = time.Time{}, "", nil, 0
	if got != want {
		run.faults = append(run.faults, fmt.Sprintf("status is  %+v\n\twant      %+v", got, want))
	}
	if b.State() != want.State || b.InDoubt() != want.Doubt {
		run.faults = append(run.faults, fmt.Sprintf("State %v and InDoubt %v, want %v and %v", b.State(), b.InDoubt(), want.State, want.Doubt))
	}
	if !slices.Equal(run.told, r.told) {
		run.faults = append(run.faults, fmt.Sprintf("told %q\n\twant %q", run.told, r.told))
	}
}

func drawConfig(rt *rapid.T) Config {
	c := Config{
		Failures:   rapid.SampledFrom([]int{0, -1, 1, 2, 3}).Draw(rt, "Failures"),
		Rate:       rapid.SampledFrom([]float64{0, 0.3, 0.5, 1}).Draw(rt, "Rate"),
		MinCalls:   rapid.SampledFrom([]int{0, 1, 3, 6}).Draw(rt, "MinCalls"),
		Window:     rapid.SampledFrom([]time.Duration{0, time.Second, 3333 * time.Millisecond}).Draw(rt, "Window"),
		Fall:       rapid.SampledFrom([]int{0, -1, 1, 2}).Draw(rt, "Fall"),
		Rise:       rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "Rise"),
		Trials:     rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "Trials"),
		Lease:      rapid.SampledFrom([]time.Duration{0, 700 * time.Millisecond}).Draw(rt, "Lease"),
		OpenFor:    rapid.SampledFrom([]time.Duration{0, time.Microsecond, 1500 * time.Millisecond}).Draw(rt, "OpenFor"),
		MaxOpenFor: rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(rt, "MaxOpenFor"),
		StableFor:  rapid.SampledFrom([]time.Duration{0, 2 * time.Second}).Draw(rt, "StableFor"),
	}
	if c.Validate() != nil {
		c.Failures = 4
	}
	return c
}

func drawOp(rt *rapid.T) modelOp {
	return modelOp{
		kind: rapid.SampledFrom([]string{
			"call", "call", "call", "call", "call", "call", "call", "allow", "allow", "settle", "settle", "ignore",
			"health", "health", "health", "health", "health", "check", "check", "verdict", "verdict", "doubt",
			"sleep", "sleep", "sleep", "sleep-until-due", "sleep-until-due", "sleep-until-just-before",
			"force", "release", "release", "expect",
		}).Draw(rt, "kind"),
		pick: rapid.IntRange(0, 3).Draw(rt, "pick"),
		good: rapid.Bool().Draw(rt, "good"),
		d: rapid.SampledFrom([]time.Duration{
			1, time.Microsecond, 99 * time.Millisecond, 700 * time.Millisecond, time.Second, 2 * time.Second,
			10 * time.Second, time.Minute,
		}).Draw(rt, "d"),
	}
}

// atLeastChecks makes the next rapid.Check of t run n cases at least.
func atLeastChecks(t *testing.T, n int) {
	t.Helper()
	if testing.Short() {
		n *= 5 // of which rapid leaves a fifth
	}
	f := flag.Lookup("rapid.checks")
	old := f.Value.String()
	if f.Value.(flag.Getter).Get().(int) < n {
		require.NoError(t, f.Value.Set(fmt.Sprint(n)))
		t.Cleanup(func() { require.NoError(t, f.Value.Set(old)) })
	}
}

func TestItAgreesWithTheReferenceModel(t *testing.T) {
	atLeastChecks(t, 5000)
	reasons := map[string]int{}
	cases, ops := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		steps := rapid.IntRange(1, 120).Draw(rt, "steps")
		script := rapid.SliceOfN(rapid.Custom(drawOp), steps, steps).Draw(rt, "script")
		cases++
		ops += len(script)
		var faults []string
		synctest.Test(t, func(t *testing.T) {
			run := &modelRun{start: time.Now(), reasons: reasons, r: &refModel{Config: cfg.withDefaults()}}
			cfg.OnChange = run.onChange
			b, err := New(cfg)
			if err != nil {
				faults = []string{err.Error()}
				return
			}
			defer b.Close()
			run.b = b
			for i, op := range script {
				run.perform(op)
				run.compare()
				if len(run.faults) > 0 {
					faults = append(run.faults, fmt.Sprintf("after step %d, %+v", i, op))
					return
				}
			}
		})
		if len(faults) > 0 {
			rt.Fatalf("%s", strings.Join(faults, "\n"))
		}
	})
	if t.Failed() {
		return
	}
	t.Logf("RESULT kind=breaker-model cases=%d ops=%d changes=%v", cases, ops, reasons)
	for _, reason := range []string{
		"failed calls in a row", "of  calls failed in s", "failed health checks in a row",
		"failed health check confirmed failing calls", "failed health check confirmed a hung call",
		"open time over", "good health check", "good health checks in a row", "good trial calls",
		"trial call failed", "trial call outlived its lease", "health check failed",
		"forced open: test", "forced closed: test", "released",
	} {
		require.Greater(t, reasons[reason], 10, "the scripts do not reach %q often enough", reason)
	}
}
