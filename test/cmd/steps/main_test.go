package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFailedStepIsReportedAndLaterStepsStillRun(t *testing.T) {
	var long strings.Builder
	for i := range 200 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	long.WriteString(strings.Repeat("x", 5000))
	var ran []string
	var out bytes.Buffer
	failed := run(&out, []string{"one", "two", "three"}, func(target string) ([]byte, error) {
		ran = append(ran, target)
		if target == "two" {
			return []byte(long.String()), errors.New("exit status 1")
		}
		return []byte("chatter\n"), nil
	})
	require.Equal(t, []string{"one", "two", "three"}, ran)
	require.Equal(t, []string{"two"}, failed)
	require.Contains(t, out.String(), "    line 199\n")
	require.Contains(t, out.String(), "    line 81\n")
	require.NotContains(t, out.String(), "line 80\n", "only the end of the log is shown")
	require.NotContains(t, out.String(), strings.Repeat("x", 500), "a long line is cut")
	require.NotContains(t, out.String(), "chatter", "a good step's log stays in its file")
	require.Contains(t, out.String(), "failed: two")
}

func TestSkipsAndResultsOfGoodStepsAreRepeated(t *testing.T) {
	var out bytes.Buffer
	failed := run(&out, []string{"unit"}, func(string) ([]byte, error) {
		return []byte("ok\nskipped: p.TestX: no server\nRESULT kind=sim ops=1\n"), nil
	})
	require.Empty(t, failed)
	require.Contains(t, out.String(), "\nskipped: p.TestX: no server\nRESULT kind=sim ops=1\nall steps passed")
}

func TestNothingSkippedIsSaidOnceForAllSteps(t *testing.T) {
	var out bytes.Buffer
	run(&out, []string{"unit", "unit-tools"}, func(string) ([]byte, error) {
		return []byte("skipped: nothing\n"), nil
	})
	require.Equal(t, 1, strings.Count(out.String(), "skipped: nothing"))
}
