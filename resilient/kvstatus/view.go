package kvstatus

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// view is what the page's template is given.
type view struct {
	Title, DocTitle string
	Icon, Say       string
	Now             string
	Silence         int64 // milliseconds without a word after which the service counts as gone
	Condition       string
	Verdict         string
	Units           []unitView
	Events          []eventView
	Silent          bool          // no event was ever told
	Body            template.HTML // the state, drawn
}

// unitView is a group or a store outside of groups.
type unitView struct {
	Name, Kind, Condition string
	Verdict               string
	Group, Alone          bool
	Facts                 []factView
	Members               []memberView
	Calls                 plotView
	Latency               plotView
}

// factView answers a question.
type factView struct {
	Question, Answer, More string
	Alarm                  bool
}

// memberView is one store.
type memberView struct {
	Name, Kind, Condition string
	Serves, Drained       bool
	Facts                 []factView
	Line                  lineView
	Checks                checksView
	Traffic               plotView
}

// eventView is an event.
type eventView struct{ Stamp, Time, Ago, Group, What, Weight string }

func (p *Page) view(readings []reading, now time.Time) view {
	v := view{
		Title: p.cfg.Title, Now: clock(now, now), Silent: p.records.all.Load() == nil,
		Silence: max(sendWithin, 3*p.cfg.Every).Milliseconds(),
	}
	worst := resilient.Up
	var said []string
	for i := range readings {
		u := p.unit(&readings[i], now)
		v.Units = append(v.Units, u)
		said = append(said, u.Name+": "+u.Verdict)
		worst = worse(worst, readings[i].condition())
	}
	if len(readings) == 0 {
		worst, said = resilient.Unknown, []string{"Nothing is watched."}
	}
	v.Condition = worst.String()
	v.Say = strings.Join(said, " ")
	v.Verdict = said[0]
	if len(readings) == 1 {
		v.Verdict, v.Units[0].Alone = v.Units[0].Verdict, true
	} else if len(readings) > 1 {
		v.Verdict = overall(readings)
	}
	v.Icon = "icon.svg?" + v.Condition
	v.DocTitle = strings.ToUpper(v.Condition) + " · " + v.Verdict + " · " + v.Title
	for _, n := range p.log.newest() {
		v.Events = append(v.Events, n.view(now))
	}
	return v
}

// condition is Unknown of what does not say how it is.
func (r *reading) condition() resilient.Condition {
	if !r.known {
		return resilient.Unknown
	}
	return r.Condition
}

// worse returns the one of which an operator has to know first.
func worse(a, b resilient.Condition) resilient.Condition {
	rank := [...]int{resilient.Up: 0, resilient.Unknown: 1, resilient.Degraded: 2, resilient.Down: 3}
	if rank[a] >= rank[b] {
		return a
	}
	return b
}

// overall says how several groups and stores are together.
func overall(readings []reading) string {
	by := map[resilient.Condition]int{}
	for i := range readings {
		by[readings[i].condition()]++
	}
	var parts []string
	for _, c := range []resilient.Condition{resilient.Down, resilient.Degraded, resilient.Unknown, resilient.Up} {
		if by[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", by[c], c))
		}
	}
	return fmt.Sprintf("Of %d: %s.", len(readings), strings.Join(parts, ", "))
}

func (p *Page) unit(r *reading, now time.Time) unitView {
	st := &r.Status
	u := unitView{Name: nameOf(st), Kind: clip(st.Kind), Condition: r.condition().String(), Group: len(st.Members) > 0}
	switch {
	case !r.ever:
		u.Verdict = "It has not said how it is."
		if u.Name == "" {
			u.Name = "unknown"
		}
		return u
	case !r.known:
		u.Verdict = "It does not say how it is. What is shown is what it said last."
	default:
		u.Verdict = verdict(st)
	}
	rec := p.records.find(sourceOf(st, ""))
	if u.Group {
		u.Facts = p.groupFacts(st, now)
		turns := rec.pastTurns()
		for _, f := range flatten(st, "", 0) {
			u.Members = append(u.Members, p.member(f, st, turns, r.known, now))
		}
	} else {
		u.Members = []memberView{p.member(flat{st: st, name: u.Name}, nil, nil, r.known, now)}
	}
	sums := rec.sums(now)
	u.Calls, u.Latency = plotCalls(rec, sums, now), plotLatency(rec, sums, now)
	return u
}

// flat is a member of a group, or of a group in it.
type flat struct {
	st          *resilient.Status
	name, group string
}

func flatten(st *resilient.Status, prefix string, level int) (all []flat) {
	for i := range st.Members {
		m := &st.Members[i]
		name := prefix + nameOf(m)
		all = append(all, flat{m, name, st.Name})
		if level < depth {
			all = append(all, flatten(m, name+" / ", level+1)...)
		}
	}
	return all
}

// member shows one store; top is the group that it is in, nil for none.
func (p *Page) member(f flat, top *resilient.Status, switches []turn, known bool, now time.Time) memberView {
	st := f.st
	m := memberView{Name: f.name, Kind: clip(st.Kind), Condition: st.Condition.String(), Drained: st.Drained}
	if !known {
		m.Condition = resilient.Unknown.String()
	}
	direct := top != nil && f.group == top.Name
	m.Serves = direct && st.Name == top.Active && top.Condition != resilient.Down || top == nil && st.Condition != resilient.Down
	state := factView{Question: "Breaker", Answer: st.State}
	if st.State == "" {
		state.Answer = "none"
	}
	if st.Forced {
		state.Answer += ", forced"
	}
	if !st.Since.IsZero() {
		state.More = "since " + clock(st.Since, now) + ", " + span(now.Sub(st.Since))
	}
	m.Facts = append(m.Facts, state)
	if st.Reason != "" {
		m.Facts = append(m.Facts, factView{Question: "Why", Answer: clip(st.Reason)})
	}
	m.Facts = append(m.Facts, p.checkFact(st, now))
	if top != nil {
		owed := factView{Question: "Owed", Answer: "nothing"}
		if st.Owed > 0 {
			owed = factView{Question: "Owed", Answer: counted(st.Owed, "write", "writes"), Alarm: true}
		}
		m.Facts = append(m.Facts, owed)
		if h := &st.HandBack; !h.Since.IsZero() {
			m.Facts = append(m.Facts, p.stallFact(h, now))
		}
	}
	m.Facts = append(m.Facts, factView{Question: "In flight", Answer: counted(st.InFlight, "call", "calls")})
	rec := p.records.find(sourceOf(st, f.group))
	m.Line = p.line(st, rec, now)
	if direct {
		m.Line.Serving = p.serving(st, rec, top, switches, now)
	}
	if rec != nil {
		m.Checks = drawChecks(rec.pastChecks())
	}
	if top != nil {
		m.Traffic = plotTraffic(rec, now)
	}
	return m
}

func (n *entry) view(now time.Time) eventView {
	at := n.at
	if n.runs {
		at = time.Unix(0, n.until.Load())
	}
	return eventView{
		Stamp: at.UTC().Format(time.RFC3339Nano), Time: clock(at, now), Ago: span(now.Sub(at)) + " ago",
		Group: n.group, What: n.what(), Weight: n.weight(),
	}
}
