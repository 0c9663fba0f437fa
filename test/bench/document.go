package main

import (
	"fmt"
	"math"
	"strings"
)

// document is a page in Markdown that is being written.
type document struct{ strings.Builder }

func (d *document) heading(text string) { fmt.Fprintf(d, "## %s\n\n", text) }

// write writes a paragraph.
func (d *document) write(sentences ...string) {
	fmt.Fprintf(d, "%s\n\n", strings.Join(sentences, "\n"))
}

// table writes a table; the first column is text, the others are figures.
func (d *document) table(header []string, rows [][]string) {
	fmt.Fprintf(d, "| %s |\n|---%s|\n", strings.Join(header, " | "), strings.Repeat("|---:", len(header)-1))
	for _, row := range rows {
		fmt.Fprintf(d, "| %s |\n", strings.Join(row, " | "))
	}
	d.WriteString("\n")
}

// nanoseconds prints three digits at most, and no fraction above 10.
func nanoseconds(ns float64) string {
	switch {
	case math.Abs(ns) < 9.95:
		return fmt.Sprintf("%.1f", ns)
	case math.Abs(ns) < 1e5:
		return fmt.Sprintf("%.0f", ns)
	}
	return thousands(ns)
}

// spread prints the median and the quartiles.
func spread(s series) string {
	return fmt.Sprintf("%s (%s to %s)", nanoseconds(s.median()), nanoseconds(s.quantile(0.25)), nanoseconds(s.quantile(0.75)))
}

// duration prints nanoseconds in the unit that fits.
func duration(ns float64) string {
	switch a := math.Abs(ns); {
	case a < 1e3:
		return nanoseconds(ns) + " ns"
	case a < 1e6:
		return nanoseconds(ns/1e3) + " µs"
	case a < 1e9:
		return nanoseconds(ns/1e6) + " ms"
	}
	return fmt.Sprintf("%.2f s", ns/1e9)
}

func ratio(r float64) string { return fmt.Sprintf("%.2f", r) }

// count prints a figure that is a whole number mostly.
func count(n float64) string {
	if n == math.Trunc(n) {
		return thousands(n)
	}
	return fmt.Sprintf("%.1f", n)
}

func allocations(n float64) string {
	if n == 1 {
		return "1 allocation"
	}
	return count(n) + " allocations"
}

// thousands prints a whole number in groups of three digits.
func thousands(n float64) string {
	s := fmt.Sprintf("%.0f", math.Abs(n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n <= -0.5 {
		s = "-" + s
	}
	return s
}

// plain takes Markdown's marks out.
func plain(s string) string { return strings.ReplaceAll(s, "`", "") }
