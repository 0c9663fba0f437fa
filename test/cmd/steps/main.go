// Steps runs make targets one after another, each into a log of its own, and
// prints the seconds that each took:
//
//	steps make fmt vet unit
//
// A failed step shows the end of its log, and the steps after it still run.
// Lines of a log that begin with "RESULT " or "skipped: " are repeated at the
// end. The exit status is 1 if a step failed.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	logDir   = ".cache/log"
	endLines = 120 // of a failed step's log
	width    = 400 // characters that are shown of one line

	nothingSkipped = "skipped: nothing"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: steps make target...")
		os.Exit(2)
	}
	if err := os.MkdirAll(logDir, 0o750); err != nil {
		fmt.Fprintln(os.Stderr, "steps:", err)
		os.Exit(2)
	}
	failed := run(os.Stdout, os.Args[2:], func(target string) ([]byte, error) {
		log, err := exec.Command(os.Args[1], "-s", "--no-print-directory", target).CombinedOutput() //#nosec G204 G702 -- make's own arguments
		werr := os.WriteFile(logFile(target), log, 0o600)                                           //#nosec G703 -- make's own targets
		if err == nil {
			err = werr
		}
		return log, err
	})
	if len(failed) > 0 {
		os.Exit(1)
	}
}

// run runs each target through do and returns those that failed.
func run(w io.Writer, targets []string, do func(target string) (log []byte, err error)) (failed []string) {
	var notes []string
	begin := time.Now()
	for _, target := range targets {
		fmt.Fprintf(w, "%-12s ", target)
		start := time.Now()
		log, err := do(target)
		seconds := time.Since(start).Seconds()
		notes = append(notes, notable(log)...)
		if err == nil {
			fmt.Fprintf(w, "ok   %6.1f s\n", seconds)
			continue
		}
		failed = append(failed, target)
		fmt.Fprintf(w, "FAIL %6.1f s   %v, log: %s\n", seconds, err, logFile(target))
		for _, line := range end(log, endLines) {
			fmt.Fprintf(w, "    %.*s\n", width, line)
		}
	}
	if !slices.ContainsFunc(notes, isSkip) {
		notes = append(notes, nothingSkipped)
	}
	for _, line := range notes {
		fmt.Fprintln(w, line)
	}
	verdict := "all steps passed"
	if len(failed) > 0 {
		verdict = "failed: " + strings.Join(failed, ", ")
	}
	fmt.Fprintf(w, "%s, %.0f s\n", verdict, time.Since(begin).Seconds())
	return failed
}

func logFile(target string) string { return filepath.Join(logDir, target+".log") }

func lines(log []byte) []string {
	text := string(bytes.TrimRight(log, "\n"))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func end(log []byte, n int) []string {
	all := lines(log)
	return all[max(0, len(all)-n):]
}

func isSkip(line string) bool { return strings.HasPrefix(line, "skipped: ") }

func notable(log []byte) (notes []string) {
	for _, line := range lines(log) {
		if strings.HasPrefix(line, "RESULT ") || isSkip(line) && line != nothingSkipped {
			notes = append(notes, line)
		}
	}
	return notes
}
