// Bench measures what Holdfast costs, and what other ways to stay up cost, side
// by side in one run, and writes what it has found:
//
//	bench [-quick] [-root DIR] [-only SECTION,...] [-profile FILE]
//
// It writes docs/benchmarks.md, its plots in docs/benchmarks/ and the table
// "What it costs" of README.md, under the folder that -root names ("."). A full
// run takes five minutes or so. A quick one takes seconds, and prints the page
// instead, for its figures mean little: it shows that the program still works.
//
// What is compared takes turns: each round measures every way once, in an order
// of its own, so that whatever else the machine does meets all of them. Figures
// are medians of the rounds, and ratios and differences are medians of those
// within a round.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "take few and short rounds, write nothing and print the page")
	root := flag.String("root", ".", "the folder with README.md and docs")
	only := flag.String("only", "", "write nothing, print these sections: "+strings.Join(sectionNames(), ", ")+" (a comma between two)")
	profile := flag.String("profile", "", "write a CPU profile to this file")
	flag.Parse()
	var names []string
	switch {
	case *only != "":
		names = strings.Split(*only, ",")
	case *quick:
		names = sectionNames()
	}
	os.Exit(asTest(func(tb testing.TB) {
		if *profile != "" {
			tb.Cleanup(profiled(tb, *profile))
		}
		run(tb, *quick, *root, names)
	}))
}

// profiled begins a CPU profile and returns what ends it.
func profiled(tb testing.TB, path string) (end func()) {
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		tb.Fatalf("bench: %v", err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			tb.Errorf("bench: %v", err)
		}
	}
}

// section is a part of the page.
type section struct {
	name  string
	write func(*bench)
	early func(*bench) // measures what needs a process that has done nothing yet; nil = nothing does
}

// sections are in the order of the page.
func sections() []section {
	return []section{
		{name: "calls", write: calls},
		{name: "stores", write: realStores},
		{name: "outages", write: outages},
		{name: "growth", write: growth, early: idleStores},
		{name: "journal", write: journals},
		{name: "handback", write: handBacks},
	}
}

func sectionNames() []string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	return names
}

// run is the program: it measures the sections, all if no name is given, and
// writes below root what they have found. With names it prints that instead.
func run(tb testing.TB, quick bool, root string, names []string) {
	b := newBench(tb, quick)
	for _, name := range names {
		if !slices.Contains(sectionNames(), name) {
			tb.Fatalf("bench: no section is called %q", name)
		}
	}
	wanted := slices.DeleteFunc(sections(), func(s section) bool { return len(names) > 0 && !slices.Contains(names, s.name) })
	for _, s := range wanted {
		if s.early != nil {
			s.early(b)
		}
	}
	for _, s := range wanted {
		began := time.Now()
		s.write(b)
		fmt.Fprintf(os.Stderr, "%-8s %4.0f s\n", s.name, time.Since(began).Seconds())
	}
	if len(names) > 0 {
		fmt.Print(b.page())
		return
	}
	b.publish(root)
}
