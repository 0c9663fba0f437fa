package kvstatus

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Plots are history units wide, one for each second, and end with the last whole
// second.

// plotView is a plot of calls or latencies.
type plotView struct {
	Name        string
	Any         bool
	Label       string // for those who do not see it
	Top, Bottom string // what the axis ends with
	Height      int
	Areas       []areaView
	Lines       []areaView
	Keys        []keyView
}

// Named returns v under a name.
func (v plotView) Named(name string) plotView {
	v.Name = name
	return v
}

// areaView is a polygon or a line.
type areaView struct{ Class, Points string }

// keyView explains a colour, with the value of the last seconds.
type keyView struct{ Class, Name, Value string }

// step is how many seconds a point of a plot stands for.
const step = 2

// sums returns what happened in each step, oldest first.
func (r *record) sums(now time.Time) []sum {
	if r == nil {
		return nil
	}
	end := now.Unix()
	all := make([]sum, 0, history/step)
	for at := end - history; at < end; at += step {
		all = append(all, r.calls.between(at+step, step))
	}
	return all
}

// stack draws counts of outcomes upon each other.
func stack(sums []sum, order []outcome, height int) (areas []areaView, top float64) {
	for i := range sums {
		n := 0
		for _, how := range order {
			n += sums[i].count[how]
		}
		top = max(top, float64(n)/step)
	}
	if top == 0 {
		return nil, 0
	}
	top = roundUp(top)
	y := func(v float64) float64 { return float64(height) * (1 - v/top) }
	base := make([]float64, len(sums))
	for _, how := range order {
		var line, back points
		for i := range sums {
			v := float64(sums[i].count[how]) / step
			line.level(i*step, (i+1)*step, y(base[i]+v))
			line.any = line.any || v > 0
		}
		for i := len(sums) - 1; i >= 0; i-- {
			back.level((i+1)*step, i*step, y(base[i]))
			base[i] += float64(sums[i].count[how]) / step
		}
		if line.any {
			areas = append(areas, areaView{outcomeWords[how], string(line.text) + string(back.text)})
		}
	}
	return areas, top
}

// points are what a polygon or a line is made of.
type points struct {
	text []byte
	end  int     // where the latest point begins in text
	y    float64 // of that
	any  bool    // there is something to see
}

// level adds a level stretch. One as high as that before it makes that longer.
func (p *points) level(from, to int, y float64) {
	if y = round(y); len(p.text) > 0 && y == p.y {
		p.text = p.text[:p.end]
	} else {
		p.add(from, y)
	}
	p.end, p.y = len(p.text), y
	p.add(to, y)
}

func (p *points) add(x int, y float64) {
	p.text = strconv.AppendInt(p.text, int64(x), 10)
	p.text = append(p.text, ',')
	p.text = strconv.AppendFloat(p.text, y, 'f', -1, 64)
	p.text = append(p.text, ' ')
}

// roundUp returns the next of 1, 2, 5, 10, 20, ...
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

const plotHeight = 60

// plotCalls shows calls per second by outcome, as callers saw them.
func plotCalls(r *record, sums []sum, now time.Time) plotView {
	v := plotView{Height: plotHeight, Label: "Calls per second in the last five minutes: none", Top: "1", Bottom: "0"}
	if r == nil {
		return v
	}
	order := []outcome{served, other, stale, refused, failed}
	areas, top := stack(sums, order, plotHeight)
	recent := r.calls.between(now.Unix(), recentSeconds)
	var said []string
	for _, how := range order {
		value := rate(float64(recent.count[how]) / recentSeconds)
		v.Keys = append(v.Keys, keyView{outcomeWords[how], outcomeWords[how], value})
		said = append(said, value+" "+outcomeWords[how])
	}
	if len(areas) > 0 {
		v.Any, v.Areas, v.Top = true, areas, rate(top)
	}
	v.Label = "Calls per second, in the last ten seconds: " + strings.Join(said, ", ")
	return v
}

// plotTraffic shows what reaches a member.
func plotTraffic(r *record, now time.Time) plotView {
	const height = 16
	v := plotView{Height: height, Label: "Attempts per second: none"}
	if r == nil {
		return v
	}
	areas, top := stack(r.sums(now), []outcome{served, other, failed}, height)
	recent := r.calls.between(now.Unix(), recentSeconds)
	value := rate(float64(recent.calls()-recent.count[refused]) / recentSeconds)
	v.Label = "Attempts per second, in the last ten seconds: " + value
	v.Keys = []keyView{{"served", "attempts per second", value}}
	v.Any, v.Areas, v.Top = len(areas) > 0, areas, rate(top)
	return v
}

// plotLatency shows how long calls took, on a logarithmic axis.
func plotLatency(r *record, sums []sum, now time.Time) plotView {
	v := plotView{Height: plotHeight, Label: "Latency in the last five minutes: no calls"}
	if r == nil {
		return v
	}
	quantiles := []struct {
		class string
		q     float64
	}{{"p50", 0.5}, {"p99", 0.99}}
	least, most := time.Duration(math.MaxInt64), time.Duration(0)
	for i := range sums {
		if d, ok := sums[i].quantile(0.5); ok {
			least = min(least, d)
		}
		if d, ok := sums[i].quantile(0.99); ok {
			most = max(most, d)
		}
	}
	recent := r.calls.between(now.Unix(), recentSeconds)
	var said []string
	for _, q := range quantiles {
		value := "–"
		if d, ok := recent.quantile(q.q); ok {
			value = latency(d)
		}
		v.Keys = append(v.Keys, keyView{q.class, q.class, value})
		said = append(said, q.class+" "+value)
	}
	v.Label = "Latency of calls, in the last ten seconds: " + strings.Join(said, ", ")
	if most == 0 {
		return v
	}
	low, high := math.Floor(math.Log10(max(float64(least), 100))), math.Ceil(math.Log10(max(float64(most), 1000)))
	high = max(high, low+1)
	v.Any = true
	v.Top, v.Bottom = latency(time.Duration(math.Pow(10, high))), latency(time.Duration(math.Pow(10, low)))
	for _, q := range quantiles {
		for _, points := range strokes(sums, q.q, low, high) {
			v.Lines = append(v.Lines, areaView{q.class, points})
		}
	}
	return v
}

// strokes draws a quantile, with gaps where there were no calls.
func strokes(sums []sum, q, low, high float64) (lines []string) {
	var line points
	end := func() {
		if len(line.text) > 0 {
			lines = append(lines, string(line.text))
			line = points{}
		}
	}
	for i := range sums {
		d, ok := sums[i].quantile(q)
		if !ok {
			end()
			continue
		}
		share := (math.Log10(max(float64(d), 1)) - low) / (high - low)
		line.level(i*step, (i+1)*step, plotHeight*(1-min(max(share, 0), 1)))
	}
	end()
	return lines
}

// round keeps what can be seen.
func round(v float64) float64 { return math.Round(v*10) / 10 }
