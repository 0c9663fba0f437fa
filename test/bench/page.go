package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// page returns what was found: the targets first, then the sections.
func (b *bench) page() string {
	var d document
	d.WriteString("# Benchmarks\n\n")
	d.write("    make bench", "", "wrote this page, its plots and the table \"What it costs\" of the README. It measures what is compared side by side",
		"in one run: each round measures every way once, in an order drawn anew, so that whatever else the machine does meets all of",
		"them. A figure is the median of the rounds; a ratio or a difference is the median of those within a round.",
		"No test asserts any of these times. Allocations are asserted, by tests beside the code.")
	b.machine(&d)
	d.heading("Targets")
	var rows [][]string
	for _, t := range b.targets {
		verdict := "yes"
		if !t.met {
			verdict = "**no**"
		}
		rows = append(rows, []string{t.what, t.goal, t.measured, verdict})
	}
	d.table([]string{"what", "target", "measured", "met"}, rows)
	d.WriteString(b.text.String())
	return string(bytes.TrimRight([]byte(d.String()), "\n")) + "\n"
}

// publish writes the page, its plots and the README's table below root.
func (b *bench) publish(root string) {
	b.tb.Helper()
	plots := filepath.Join(root, "docs", "benchmarks")
	b.must(os.MkdirAll(plots, 0o755))
	for name, svg := range b.plots {
		b.must(os.WriteFile(filepath.Join(plots, name), []byte(svg), 0o644))
	}
	b.must(os.WriteFile(filepath.Join(root, "docs", "benchmarks.md"), []byte(b.page()), 0o644))
	readme := filepath.Join(root, "README.md")
	text, err := os.ReadFile(readme)
	b.must(err)
	text, err = b.inReadme(text)
	b.must(err)
	b.must(os.WriteFile(readme, text, 0o644))
	fmt.Fprintf(os.Stderr, "written in %s\n", time.Since(b.began).Round(time.Second))
}

// What the README's table stands between.
const (
	tableBegins = "<!-- written by make bench -->\n"
	tableEnds   = "<!-- end -->\n"
)

// inReadme returns the README with its table written anew.
func (b *bench) inReadme(text []byte) ([]byte, error) {
	head, rest, found := bytes.Cut(text, []byte(tableBegins))
	_, tail, ends := bytes.Cut(rest, []byte(tableEnds))
	if !found || !ends {
		return nil, fmt.Errorf("the README has no lines %q and %q", tableBegins, tableEnds)
	}
	var d document
	d.table([]string{"a Get of a store that answers at once", "ns", "allocations"}, b.costs)
	d.WriteString("Medians of " + fmt.Sprint(b.rounds) + " rounds, " + machineName() + ".\n")
	return bytes.Join([][]byte{head, []byte(tableBegins), []byte(d.String()), []byte(tableEnds), tail}, nil), nil
}
