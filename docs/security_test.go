package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryLineOfTheSecurityChecklistNamesItsTests: each row names every test
// that carries its number, beside its package, and no other; a row without
// tests, or with a part that does not apply, says why.
func TestEveryLineOfTheSecurityChecklistNamesItsTests(t *testing.T) {
	const lines = 34
	there := map[int]map[string]bool{}
	test := regexp.MustCompile(`(?m)^func (TestS(\d+)_\w+)\(`)
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range test.FindAllSubmatch(source, -1) {
			n, _ := strconv.Atoi(string(m[2]))
			if there[n] == nil {
				there[n] = map[string]bool{}
			}
			there[n][filepath.ToSlash(filepath.Dir(path))[len("../"):]+": "+string(m[1])] = true
		}
		return err
	}))
	page, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| S(\d+) \| (.+) \| (.*) \|$`).FindAllStringSubmatch(string(page), -1)
	require.Len(t, rows, lines)
	for i, row := range rows {
		n, err := strconv.Atoi(row[1])
		require.NoError(t, err)
		require.Equal(t, i+1, n, "the rows are in order")
		named := map[string]bool{}
		for part := range strings.SplitSeq(row[3], "<br>") {
			pkg, tests, _ := strings.Cut(part, ": ")
			for name := range strings.SplitSeq(tests, ", ") {
				if name != "" {
					named[pkg+": "+strings.Trim(name, "`")] = true
				}
			}
		}
		require.True(t, len(named) > 0 || strings.Contains(row[2], "*"), "S%d has neither a test nor a reason", n)
		if len(named) > 0 || there[n] != nil {
			require.Equal(t, there[n], named, "S%d", n)
		}
		delete(there, n)
	}
	require.Empty(t, there, "tests of lines that are not in the checklist")
}
