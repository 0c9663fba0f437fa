// Gotest runs go test with the given arguments and shows what matters of it:
// one line for each package, the output of failed tests only, the RESULT lines
// of all tests, and at the end the slowest tests and every skipped one with its
// reason:
//
//	gotest -race ./...
//
// The exit status is 1 if a test failed, if no test ran, or if a test was
// skipped while CI is set in the environment.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	if err := run(os.Stdout, os.Args[1:], os.Getenv("CI") != ""); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, args []string, strict bool) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //#nosec G204 G702 -- make's own arguments
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	sum := newSummary(w)
	readErr := sum.read(stdout)
	waitErr := cmd.Wait()
	sum.print()
	return errors.Join(readErr, sum.verdict(strict), waitErr)
}
