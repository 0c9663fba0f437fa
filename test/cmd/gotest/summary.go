package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json; go doc test2json describes it. Lines of
// the compiler have ImportPath in place of Package.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// id names a test, or with an empty test the package itself.
type id struct{ pkg, test string }

func (i id) String() string {
	if i.test == "" {
		return i.pkg
	}
	return i.pkg + "." + i.test
}

// failure is a failed test or package, and what it printed.
type failure struct {
	id
	output []string
}

// causes reports whether other failed because of f: a subtest takes its
// parents and its package along.
func (f failure) causes(other id) bool {
	return f.pkg == other.pkg && f.test != "" && (other.test == "" || strings.HasPrefix(f.test, other.test+"/"))
}

// digestLines is how much of each failure the end of the log repeats.
const digestLines = 15

// The end of the log names up to slowTests tests that took slowSeconds or more:
// there is where to look for a shorter run.
const (
	slowTests   = 20
	slowSeconds = 10
)

// timed is a passed test and what it took.
type timed struct {
	id
	seconds float64
}

// summary collects the events of one run and writes progress to w.
type summary struct {
	w       io.Writer
	output  map[id][]string // of what has not ended yet
	passed  map[string]int  // tests and subtests, by package
	total   int
	failed  []failure
	skipped []string // "package.Test: reason"
	results []string
	slow    []timed
}

func newSummary(w io.Writer) *summary {
	return &summary{w: w, output: map[id][]string{}, passed: map[string]int{}}
}

// read takes events until r ends. Lines that are no events are passed on.
func (s *summary) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				s.add(e)
			} else {
				fmt.Fprintf(s.w, "%s", line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) add(e event) {
	what := id{e.Package, e.Test}
	switch e.Action {
	case "output":
		if i := strings.Index(e.Output, "RESULT kind="); i >= 0 {
			s.results = append(s.results, strings.TrimSpace(e.Output[i:]))
		}
		if !strings.HasPrefix(e.Output, "=== ") {
			s.output[what] = append(s.output[what], e.Output)
		}
	case "build-output":
		fmt.Fprint(s.w, e.Output)
	case "pass":
		s.pass(what, e.Elapsed)
	case "skip":
		s.skip(what)
	case "fail":
		s.fail(what, e.Elapsed)
	}
}

func (s *summary) pass(what id, seconds float64) {
	delete(s.output, what)
	if what.test != "" {
		s.total++
		s.passed[what.pkg]++
		if seconds >= slowSeconds && !strings.Contains(what.test, "/") {
			s.slow = append(s.slow, timed{what, seconds})
		}
		return
	}
	fmt.Fprintf(s.w, "ok   %6.1f s %5d  %s\n", seconds, s.passed[what.pkg], what.pkg)
}

// skip notes a skipped test. A package is "skipped" when it has no tests.
func (s *summary) skip(what id) {
	if what.test != "" {
		s.skipped = append(s.skipped, what.String()+": "+reason(s.output[what]))
	} else {
		fmt.Fprintf(s.w, "no test files          %s\n", what.pkg)
	}
	delete(s.output, what)
}

// fail shows the output of what failed. A package that died takes the tests
// along that were running: their output is shown with it.
func (s *summary) fail(what id, seconds float64) {
	s.failed = append(s.failed, failure{what, s.output[what]})
	if what.test == "" {
		for other := range s.output {
			if other.pkg == what.pkg && other.test != "" {
				s.show(other)
			}
		}
	}
	s.show(what)
	if what.test == "" {
		fmt.Fprintf(s.w, "FAIL %6.1f s        %s\n", seconds, what.pkg)
	}
}

func (s *summary) show(what id) {
	fmt.Fprintf(s.w, "---- %s\n%s", what, strings.Join(s.output[what], ""))
	delete(s.output, what)
}

// print ends the log with what a reader looks for first: each failure that has
// no failure below it, shortened, and the lists.
func (s *summary) print() {
	for _, f := range s.failed {
		if slices.ContainsFunc(s.failed, func(other failure) bool { return other.causes(f.id) }) {
			continue
		}
		fmt.Fprintf(s.w, "failed: %s\n%s", f.id, strings.Join(f.output[:min(len(f.output), digestLines)], ""))
	}
	for _, line := range s.results {
		fmt.Fprintln(s.w, line)
	}
	slices.SortStableFunc(s.slow, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range s.slow[:min(len(s.slow), slowTests)] {
		fmt.Fprintf(s.w, "slow: %6.1f s  %s\n", t.seconds, t.id)
	}
	fmt.Fprintf(s.w, "passed: %d\n", s.total)
	for _, line := range s.skipped {
		fmt.Fprintln(s.w, "skipped:", line)
	}
	if len(s.skipped) == 0 {
		fmt.Fprintln(s.w, "skipped: nothing")
	}
}

// verdict is nil for a run that proves something: tests ran, none failed and,
// if strict, none was skipped.
func (s *summary) verdict(strict bool) error {
	switch {
	case len(s.failed) > 0:
		return fmt.Errorf("%d failed", len(s.failed))
	case s.total == 0 && len(s.skipped) == 0:
		return errors.New("no test ran")
	case strict && len(s.skipped) > 0:
		return fmt.Errorf("%d skipped, and CI is set", len(s.skipped))
	}
	return nil
}

// reason is what t.Skip was given: the last line before the verdict.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line != "" && !strings.HasPrefix(line, "--- SKIP") {
			return line
		}
	}
	return "no reason given"
}
