package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// outage is a run of all ways side by side against the same first redis, which
// goes away and comes back, and the same second one, which is always well.
type outage struct {
	b      *bench
	kind   string
	first  *servertest.Server
	second *servertest.Server

	players []*player
	fault   time.Time
	healed  time.Time
}

// Ways that targets are about.
const (
	secondAlone = "the second redis alone, undisturbed"
	ourGroup    = "Holdfast `failover`, defaults"
)

// slack is what a call may take longer than its timeout.
const slack = 50 * time.Millisecond

func outages(b *bench) {
	b.text.heading("A redis is killed, or frozen, under load")
	rounds := pick(b, 3, 1)
	b.text.write("Each way has four callers, which make a call every 10 ms or so on keys of their own: of twenty one sets a new key, one sets a key again, nine get",
		"such a key and nine one that nobody sets. No caller gives a deadline,",
		fmt.Sprintf("and every way bounds an attempt at %v (but where another timeout is named). All ways run at the same time against", patience),
		"the same two redis servers, which both hold every key at the beginning. The first one goes away and comes back; the load goes on until",
		fmt.Sprintf("after the group is back on it and owes nothing. Sums of %d outages. Breakers of all ways: %d failures open, %v open, %d successes close.",
			rounds, failuresToOpen, openFor, trialsToClose))
	b.text.write("*Failed*: calls with an error. *Delayed*: calls that took more than 100 ms. *Disturbed*: from the outage to the end of the last failed or delayed",
		"call, before the server is healed (median). *Get while away*: median of keys that nobody sets, once the way is no longer disturbed. *Stale*: Gets that answered with an older",
		"value than the same caller had set before and been told so. *Lost*: keys that in the end are not there, or hold an older value than was acknowledged.")
	for _, kind := range []string{"killed (SIGKILL)", "frozen (SIGSTOP)"} {
		var all []*outage
		for range rounds {
			all = append(all, b.outage(kind))
		}
		b.writeOutages(kind, all)
	}
}

// outage plays one.
func (b *bench) outage(kind string) *outage {
	b.tb.Helper()
	o := &outage{b: b, kind: kind, first: servertest.Redis(b.tb), second: servertest.Redis(b.tb)}
	defer o.first.Kill()
	defer o.second.Kill()
	o.join()
	for _, p := range o.players {
		b.must(p.begin())
	}
	wait := func(d time.Duration) { time.Sleep(pick(b, d, d/10)) }
	wait(2 * time.Second)
	o.fault = time.Now()
	if kind == "killed (SIGKILL)" {
		o.first.Kill()
	} else {
		o.first.Freeze()
	}
	wait(8 * time.Second)
	o.healed = time.Now()
	o.first.Start()
	o.first.Wake()
	o.settle(pick(b, 30*time.Second, 100*time.Millisecond))
	for _, p := range o.players {
		p.end()
	}
	for _, p := range o.players {
		p.audit()
		p.close()
	}
	return o
}

// settle waits until the groups are back on their first members and owe nothing,
// and a while longer.
func (o *outage) settle(most time.Duration) {
	over := time.Now().Add(most)
	for _, p := range o.players {
		for p.group != nil && time.Now().Before(over) && !p.home() {
			time.Sleep(50 * time.Millisecond)
		}
	}
	time.Sleep(pick(o.b, 3*time.Second, 0))
}

// join makes the ways.
func (o *outage) join() {
	b := o.b
	b.tb.Helper()
	open := func(p *player, s *servertest.Server) resilient.KVWithHealth {
		kv, err := rediskv.Open("redis://"+s.Addr(), rediskv.Config{Namespace: fmt.Sprintf("way%d", len(o.players))})
		b.must(err)
		p.opened = append(p.opened, kv)
		return kv
	}
	add := func(name string, timeout time.Duration, make func(p *player) getSetter) {
		p := &player{name: name, timeout: timeout}
		p.kv = make(p)
		o.players = append(o.players, p)
	}
	pair := func(way func(first, second resilient.KVWithHealth) getSetter) func(*player) getSetter {
		return func(p *player) getSetter { return way(open(p, o.first), open(p, o.second)) }
	}
	group := func(cfg resilient.Config) func(*player) getSetter {
		return func(p *player) getSetter {
			first, second := open(p, o.first), open(p, o.second)
			kv, err := failover.New(mirror(cfg), resilient.KeepOpen(first), resilient.KeepOpen(second))
			b.must(err)
			p.group, p.homeName = kv, kv.Active()
			return kv
		}
	}
	const short = 250 * time.Millisecond
	add(secondAlone, patience, func(p *player) getSetter { return patiently{open(p, o.second)} })
	add("the first redis alone", patience, func(p *player) getSetter { return patiently{open(p, o.first)} })
	add("health check before each call", patience, pair(func(first, second resilient.KVWithHealth) getSetter { return checking{first, second} }))
	add("gobreaker, then the second by hand", patience, pair(func(first, second resilient.KVWithHealth) getSetter { return newTripping(first, second) }))
	add("failsafe-go: fallback + breaker + timeout", patience, pair(func(first, second resilient.KVWithHealth) getSetter { return newFailsafes(first, second) }))
	add(ourGroup, patience, group(resilient.Config{}))
	add(fmt.Sprintf("Holdfast `failover`, `Timeout: %v`", short), short, group(resilient.Config{Timeout: short}))
	for _, p := range o.players {
		b.must(p.fill())
	}
}

// writeOutages writes what several outages of a kind did to the ways.
func (b *bench) writeOutages(kind string, all []*outage) {
	var rows [][]string
	awayOf := map[string]float64{}
	for i, p := range all[0].players {
		var sum tally
		var disturbed, away series
		for _, o := range all {
			t := o.players[i].tally(o)
			sum.add(t)
			disturbed = append(disturbed, float64(t.disturbed))
			if t.away > 0 {
				away = append(away, float64(t.away))
			}
		}
		awayOf[p.name] = away.median()
		get := duration(away.median())
		if len(away) == 0 {
			get = "-"
		}
		lasted := "not at all"
		if disturbed.median() > 0 {
			lasted = duration(disturbed.median())
		}
		rows = append(rows, []string{p.name, count(float64(sum.calls)), count(float64(sum.failed)), count(float64(sum.delayed)),
			duration(float64(sum.slowest)), lasted, get, count(float64(sum.stale)), count(float64(sum.lost))})
		if p.group != nil {
			met := sum.failed == 0 && sum.slowest <= p.timeout+slack
			b.check(fmt.Sprintf("redis %s under load, %s", kind, p.name),
				fmt.Sprintf("0 calls failed, none slower than %v; 0 stale, 0 lost", p.timeout+slack),
				fmt.Sprintf("%d failed, slowest %s; %d stale, %d lost", sum.failed, duration(float64(sum.slowest)), sum.stale, sum.lost),
				met && sum.stale+sum.lost == 0)
		}
	}
	b.text.write("**The first redis is " + kind + ".**")
	b.text.table([]string{"way", "calls", "failed", "delayed", "slowest", "disturbed", "Get while away", "stale", "lost"}, rows)
	if alone := awayOf[secondAlone]; alone > 0 {
		r := awayOf[ourGroup] / alone
		b.check(fmt.Sprintf("Get through `failover` while redis is %s, once that is known, against the second redis alone", kind),
			"no slower (<= x 1.1)", "x "+ratio(r), r > 0 && r <= 1.1)
	}
	all[0].plot()
}

// plot shows how long the slowest call took that was under way at each time.
func (o *outage) plot() {
	const step = 100 * time.Millisecond
	from, to := o.fault.Add(-time.Second), o.healed.Add(2*time.Second)
	steps := int(to.Sub(from) / step)
	c := chart{
		title: "The slowest call under way while redis is " + o.kind, x: "seconds since the outage began", y: "milliseconds (logarithmic)",
		logarithmic: true, every: 10, mark: "back", markAt: float64(o.healed.Sub(from)) / float64(step),
	}
	for i := range steps {
		c.ticks = append(c.ticks, fmt.Sprint(math.Round((time.Duration(i)*step - time.Second).Seconds())))
	}
	for _, p := range o.players[1 : len(o.players)-1] {
		l := line{name: plain(p.name), ys: make([]float64, steps)}
		for i := range l.ys {
			l.ys[i] = math.NaN()
		}
		for _, call := range p.calls {
			first := max(0, int(call.began.Sub(from)/step))
			last := min(steps-1, int(call.began.Add(call.took).Sub(from)/step))
			for i := first; i <= last; i++ {
				ms := float64(call.took) / float64(time.Millisecond)
				if math.IsNaN(l.ys[i]) || l.ys[i] < ms {
					l.ys[i] = ms
				}
			}
		}
		c.lines = append(c.lines, l)
	}
	name := "killed"
	if o.kind != "killed (SIGKILL)" {
		name = "frozen"
	}
	o.b.plot(name, c)
}

// background bounds what is done outside the measured calls.
func background() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*patience)
}
