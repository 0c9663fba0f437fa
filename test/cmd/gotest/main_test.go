package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goTest runs the real go test on one package with the given test file.
func goTest(t *testing.T, strict bool, source string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module sample\n\ngo 1.26\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a_test.go"), []byte("package sample\n"+source), 0o600))
	t.Chdir(dir)
	var out bytes.Buffer
	err := run(&out, []string{"./..."}, strict)
	return out.String(), err
}

const passAndSkip = `
import ("fmt"; "testing")
func TestGood(t *testing.T) { fmt.Println("chatter"); t.Log("RESULT kind=sim ops=7") }
func TestAway(t *testing.T) { t.Skip("no server here") }
`

func TestSkipIsToldWithItsReasonAndFailsOnlyInCI(t *testing.T) {
	out, err := goTest(t, false, passAndSkip)
	require.NoError(t, err)
	require.Contains(t, out, "skipped: sample.TestAway: a_test.go:5: no server here\n")
	require.Contains(t, out, "\nRESULT kind=sim ops=7\n")
	require.Contains(t, out, "\npassed: 1\n")
	require.NotContains(t, out, "chatter")

	_, err = goTest(t, true, passAndSkip)
	require.ErrorContains(t, err, "1 skipped, and CI is set")
}

func TestFailureShowsTheOutputOfTheFailedTestOnly(t *testing.T) {
	out, err := goTest(t, false, `
import "testing"
func TestGood(t *testing.T) { t.Log("quiet") }
func TestBad(t *testing.T)  { t.Error("loud") }
`)
	require.ErrorContains(t, err, "2 failed", "the test and its package")
	require.Contains(t, out, "loud")
	require.NotContains(t, out, "quiet")
	require.Contains(t, out, "failed: sample.TestBad\n")
	require.Contains(t, out, "skipped: nothing\n")
}

func TestLogEndsWithTheFailuresThatCausedTheOthersShortened(t *testing.T) {
	out, err := goTest(t, false, `
import "testing"
func TestParent(t *testing.T) {
	t.Run("child", func(t *testing.T) { for i := range 50 { t.Errorf("line-%d", i) } })
}
`)
	require.ErrorContains(t, err, "3 failed")
	require.Contains(t, out, "line-49", "the log has all of it")
	_, end, found := strings.Cut(out, "failed: sample.TestParent/child\n")
	require.True(t, found)
	require.Contains(t, end, "line-0\n")
	require.NotContains(t, end, "line-49")
	require.NotContains(t, end, "failed: sample", "the parent and the package only followed")
}

func TestPanicShowsTheTestThatWasRunning(t *testing.T) {
	out, err := goTest(t, false, `
import ("os"; "testing")
func TestDies(t *testing.T) { println("last words"); os.Exit(3) }
`)
	require.Error(t, err)
	require.Contains(t, out, "last words")
	require.Contains(t, out, "failed: sample")
}

func TestCodeThatDoesNotCompileIsAFailureWithTheCompilersWords(t *testing.T) {
	out, err := goTest(t, false, "var n int = \"text\"\n")
	require.Error(t, err)
	require.Contains(t, out, "a_test.go:2:13: cannot use")
}

func TestTheSlowestTestsAreNamedSlowestFirst(t *testing.T) {
	var out bytes.Buffer
	s := newSummary(&out)
	for test, seconds := range map[string]float64{"TestQuick": 9.9, "TestSlow": 12.34, "TestSlow/part": 12, "TestSlower": 50} {
		s.add(event{Action: "pass", Package: "p", Test: test, Elapsed: seconds})
	}
	s.print()
	require.Contains(t, out.String(), "slow:   50.0 s  p.TestSlower\nslow:   12.3 s  p.TestSlow\npassed: 4\n")
	require.NotContains(t, out.String(), "TestQuick")
}

func TestRunWithoutAnyTestIsAFailure(t *testing.T) {
	_, err := goTest(t, false, "")
	require.ErrorContains(t, err, "no test ran")
}
