package breaker

import (
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
