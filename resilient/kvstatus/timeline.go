package kvstatus

import (
	"fmt"
	"math"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// lineView is the timeline of one store.
type lineView struct {
	Label   string
	States  []bandView
	Serving []bandView
}

// bandView is a part of a timeline.
type bandView struct {
	Class, Title        string
	X, Y, Width, Height float64
}

// states are drawn the higher the worse, so that they are told apart without
// their colours.
var states = map[string]struct{ y, height float64 }{
	"closed": {12, 4}, "half-open": {7, 9}, "open": {1, 15},
}

// line shows the states of a store's breaker.
func (p *Page) line(st *resilient.Status, r *record, now time.Time) lineView {
	v := lineView{Label: "No change of its breaker in the last five minutes"}
	changes := 0
	for _, s := range p.stretches(r.pastTurns(), st.State, st.Since, now) {
		if s.began {
			changes++
		}
		shape, known := states[s.value]
		if !known {
			continue
		}
		v.States = append(v.States, bandView{
			Class: s.value, Title: s.value + ", " + s.text(now), X: s.x, Width: s.width, Y: shape.y, Height: shape.height,
		})
	}
	if changes > 0 {
		v.Label = counted(changes, "change", "changes") + " of its breaker in the last five minutes"
	}
	return v
}

// serving shows when a member served: while calls tried it first and its breaker
// let them through. With all members away there is still one that they try first.
func (p *Page) serving(st *resilient.Status, r *record, top *resilient.Status, switches []turn, now time.Time) (bands []bandView) {
	active := top.Active
	if top.Condition == resilient.Down && st.State != "open" { // the group is closed
		active = ""
	}
	states := p.stretches(r.pastTurns(), st.State, st.Since, now)
	for _, tried := range p.stretches(switches, active, top.Since, now) {
		if tried.value != st.Name {
			continue
		}
		for _, s := range tried.without(states, "open") {
			s.place(now)
			bands = append(bands, bandView{Class: "serving", Title: "serves, " + s.text(now), X: s.x, Width: s.width, Y: 18, Height: 3})
		}
	}
	return bands
}

// stretch is a time in which a value held.
type stretch struct {
	value    string
	from, to time.Time
	reason   string
	began    bool // in the time shown
	x, width float64
}

// place says where s is drawn.
func (s *stretch) place(now time.Time) {
	start := now.Add(-history * time.Second)
	s.x, s.width = round(s.from.Sub(start).Seconds()), max(round(s.to.Sub(s.from).Seconds()), 1)
}

// without returns what is left of s where others, oldest first, have another
// value.
func (s stretch) without(others []stretch, value string) (left []stretch) {
	for _, o := range others {
		if o.value != value || !o.to.After(s.from) || !s.to.After(o.from) {
			continue
		}
		if before := s; o.from.After(s.from) {
			before.to = o.from
			left = append(left, before)
		}
		s.from, s.reason = o.to, "" // which was that of the beginning
	}
	if s.to.After(s.from) {
		left = append(left, s)
	}
	return left
}

func (s *stretch) text(now time.Time) string {
	said := "from " + clock(s.from, now) + " for " + span(s.to.Sub(s.from))
	if s.reason != "" {
		said += ": " + s.reason
	}
	return said
}

// stretches returns what held when in the time shown, as far as it is known: from
// turns, else from the present value and since when it holds.
func (p *Page) stretches(turns []turn, present string, since, now time.Time) (all []stretch) {
	start := now.Add(-history * time.Second)
	add := func(value, reason string, from, to time.Time) {
		began := from.After(start)
		if !began {
			from = start
		}
		if value == "" || !to.After(from) {
			return
		}
		s := stretch{value: value, from: from, to: to, reason: reason, began: began}
		s.place(now)
		all = append(all, s)
	}
	if len(turns) == 0 {
		from := p.began
		if since.After(from) {
			from = since
		}
		add(present, "", from, now)
		return unbegun(all)
	}
	if turns[0].at.After(p.began) && len(turns) < keepTurns {
		add(turns[0].from, "", p.began, turns[0].at)
		all = unbegun(all)
	}
	for i, t := range turns {
		to := now
		if i+1 < len(turns) {
			to = turns[i+1].at
		}
		add(t.to, t.reason, t.at, to)
	}
	return all
}

// unbegun says of stretches that they did not begin with a turn.
func unbegun(all []stretch) []stretch {
	for i := range all {
		all[i].began = false
	}
	return all
}

// checksView are the last health checks, a bar for each.
type checksView struct {
	Label string
	Width int
	Bars  []bandView
}

func drawChecks(checks []check) (v checksView) {
	bad, slow := 0, 0
	var worst time.Duration
	for i, c := range checks {
		b := bandView{Class: "good", X: float64(4 * i), Width: 3}
		// From 10 µs to 10 s, six decades on 16 units.
		b.Height = round(min(max(1+15*(math.Log10(max(float64(c.took), 1))-4)/6, 2), 16))
		switch {
		case c.none:
			b.Class = unknown
		case c.bad:
			b.Class, b.Height = "bad", 16
			bad++
		case c.slow:
			b.Class = "slow"
			slow++
		}
		b.Y = 16 - b.Height
		b.Title = b.Class + " in " + latency(c.took)
		worst = max(worst, c.took)
		v.Bars = append(v.Bars, b)
	}
	v.Width = 4 * keepChecks
	v.Label = fmt.Sprintf("Last %s: %d bad, %d slow, the longest took %s", counted(len(checks), "health check", "health checks"), bad, slow, latency(worst))
	return v
}
