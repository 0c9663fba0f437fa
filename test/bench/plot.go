package main

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// chart is a plot of lines over ticks that stand at equal distances.
type chart struct {
	title, x, y string
	ticks       []string
	lines       []line
	logarithmic bool // the y axis
	// every is how many ticks there are from one label to the next; 0 = 1.
	every int
	// mark is the tick at which a vertical line stands, with this label; "" = none.
	mark   string
	markAt float64
}

// line has a value for each tick; NaN leaves one out.
type line struct {
	name string
	ys   []float64
}

// The drawing area and the room around it, in pixels.
const (
	plotWidth, plotHeight                    = 860, 420
	plotLeft, plotRight, plotTop, plotBottom = 80, 20, 44, 56
	legendLine                               = 20
	areaWidth                                = plotWidth - plotLeft - plotRight
	areaHeight                               = plotHeight - plotTop - plotBottom
)

// The colours are Okabe and Ito's, which people who see few colours can tell
// apart; the dark page has lighter ones.
const plotStyle = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.page { fill: #ffffff; }
.grid { stroke: #d8dee4; } .axis { stroke: #57606a; } .mark { stroke: #57606a; stroke-dasharray: 4 4; }
.line { fill: none; stroke-width: 2; }
.c0 { stroke: #6e7781; } .c1 { stroke: #0072b2; } .c2 { stroke: #d55e00; } .c3 { stroke: #009e73; } .c4 { stroke: #b0548a; } .c5 { stroke: #b58900; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .page { fill: #0d1117; }
.grid { stroke: #30363d; } .axis { stroke: #8b949e; } .mark { stroke: #8b949e; }
.c0 { stroke: #9ea7b3; } .c1 { stroke: #56b4e9; } .c2 { stroke: #ff8c42; } .c3 { stroke: #2bc59b; } .c4 { stroke: #e39ac4; } .c5 { stroke: #f0e442; }
}
</style>
`

const plotColours = 6

// dashes tell lines apart where colours do not.
var dashes = [plotColours]string{"2 3", "", "", "9 3", "", "9 3 2 3"}

// svg draws c.
func (c chart) svg() string {
	var s strings.Builder
	height := plotHeight + legendLine*((len(c.lines)+1)/2)
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n%s",
		plotWidth, height, html.EscapeString(c.title), plotStyle)
	fmt.Fprintf(&s, `<rect class="page" width="%d" height="%d"/>`+"\n", plotWidth, height)
	label(&s, plotLeft, 26, "start", "title", c.title)
	low, high, steps := c.scale()
	at := func(y float64) float64 {
		share := (y - low) / (high - low)
		if c.logarithmic {
			share = math.Log(max(y, low)/low) / math.Log(high/low)
		}
		return plotTop + areaHeight*(1-share)
	}
	for _, y := range steps {
		fmt.Fprintf(&s, `<path class="grid" d="M%d %.1fh%d"/>`+"\n", plotLeft, at(y), areaWidth)
		label(&s, plotLeft-8, at(y)+4, "end", "", tick(y))
	}
	for i, name := range c.ticks {
		if i%max(c.every, 1) == 0 {
			label(&s, c.across(float64(i)), plotTop+areaHeight+20, "middle", "", name)
		}
	}
	fmt.Fprintf(&s, `<path class="axis" fill="none" d="M%d %dv%dh%d"/>`+"\n", plotLeft, plotTop, areaHeight, areaWidth)
	label(&s, plotLeft+areaWidth/2, plotTop+areaHeight+44, "middle", "", c.x)
	fmt.Fprintf(&s, `<text transform="translate(20 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n",
		plotTop+areaHeight/2, html.EscapeString(c.y))
	if c.mark != "" {
		x := c.across(c.markAt)
		fmt.Fprintf(&s, `<path class="mark" d="M%.1f %dv%d"/>`+"\n", x, plotTop, areaHeight)
		label(&s, x+6, plotTop+14, "start", "", c.mark)
	}
	for i, l := range c.lines {
		c.draw(&s, i, l, at)
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// across returns where a tick stands.
func (c chart) across(i float64) float64 {
	return plotLeft + areaWidth*(i+0.5)/float64(len(c.ticks))
}

// draw draws a line and its entry in the legend.
func (c chart) draw(s *strings.Builder, i int, l line, at func(float64) float64) {
	style := fmt.Sprintf(`class="line c%d"`, i%plotColours)
	if dash := dashes[i%plotColours]; dash != "" {
		style += fmt.Sprintf(` stroke-dasharray="%s"`, dash)
	}
	var d strings.Builder
	pen := "M"
	for j, y := range l.ys {
		if math.IsNaN(y) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, c.across(float64(j)), at(y))
		pen = "L"
	}
	fmt.Fprintf(s, `<path %s d="%s"/>`+"\n", style, d.String())
	if len(l.ys) <= 10 {
		for j, y := range l.ys {
			if math.IsNaN(y) {
				continue
			}
			fmt.Fprintf(s, `<circle class="line c%d" cx="%.1f" cy="%.1f" r="3"/>`+"\n", i%plotColours, c.across(float64(j)), at(y))
		}
	}
	x, y := plotLeft+(i%2)*areaWidth/2, plotHeight+4+(i/2)*legendLine
	fmt.Fprintf(s, `<path %s d="M%d %dh28"/>`+"\n", style, x, y)
	label(s, float64(x+36), float64(y+4), "start", "", l.name)
}

// scale returns the ends of the y axis and where its lines are.
func (c chart) scale() (low, high float64, steps []float64) {
	low, high = math.Inf(1), 0
	for _, l := range c.lines {
		for _, y := range l.ys {
			if !math.IsNaN(y) {
				low, high = min(low, y), max(high, y)
			}
		}
	}
	if high <= 0 {
		high = 1
	}
	if c.logarithmic {
		low = math.Pow(10, math.Floor(math.Log10(max(low, high/1e6))))
		high = math.Pow(10, math.Ceil(math.Log10(high*1.01)))
		for y := low; y <= high*1.01; y *= 10 {
			steps = append(steps, y)
		}
		return low, high, steps
	}
	step := math.Pow(10, math.Floor(math.Log10(high)))
	for _, part := range []float64{0.2, 0.5, 1} {
		if high/(step*part) <= 6 {
			step *= part
			break
		}
	}
	high = step * math.Ceil(high/step*1.001)
	for y := 0.0; y <= high*1.001; y += step {
		steps = append(steps, y)
	}
	return 0, high, steps
}

// tick prints the value of a line of the grid.
func tick(y float64) string {
	if y >= 1000 {
		return thousands(y)
	}
	return strconv.FormatFloat(y, 'g', 4, 64)
}

func label(s *strings.Builder, x, y float64, anchor, class, text string) {
	if class != "" {
		class = fmt.Sprintf(` class="%s"`, class)
	}
	fmt.Fprintf(s, `<text%s x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

// plot keeps c for the page and shows it at this place.
func (b *bench) plot(name string, c chart) {
	b.plots[name+".svg"] = c.svg()
	b.text.write(fmt.Sprintf("![%s](benchmarks/%s.svg)", c.title, name))
}
