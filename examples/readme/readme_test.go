// Package readme_test holds the programs of README.md: each of its Go blocks
// is, byte for byte, the body of an Example here, which go test runs.
package readme_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const examplesFile = "example_test.go"

var folder string // this one

// TestMain runs the Examples in a folder of their own, because they name their
// files as a reader would.
func TestMain(m *testing.M) {
	var err error
	folder, err = os.Getwd()
	dir, err2 := os.MkdirTemp("", "readme")
	if err = errors.Join(err, err2, os.Chdir(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func TestEveryGoBlockOfTheReadmeIsAnExampleThatRuns(t *testing.T) {
	// Read here, not before: only then does go test see that they have changed.
	readme, err := os.ReadFile(filepath.Join(folder, "..", "..", "README.md"))
	require.NoError(t, err)
	examples, err := os.ReadFile(filepath.Join(folder, examplesFile))
	require.NoError(t, err)
	faults, err := compare(readme, examples)
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestABlockThatIsNoExampleIsFound(t *testing.T) {
	const body = "a := 1\n\tb(a)\n"
	const block = body + "// Output:\n"
	src := func(block string) []byte {
		return []byte("package p\n\nfunc Example() {\n\t" + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n\t") + "\n}\n")
	}
	text := func(block string) string { return "text\n\n```go\n" + block + "```\n\nmore\n" }

	for _, c := range []struct {
		name     string
		readme   string
		examples []byte
		fault    string // "" = none
	}{
		{"as it is", text(block), src(block), ""},
		{"another byte", text(strings.Replace(block, "1", "2", 1)), src(block), "a := 2"},
		{"another indent", text(strings.Replace(block, "\t", "", 1)), src(block), "\nb(a)"},
		{"a line less", text(body), src(block), "no Example has"},
		{"a second block", text(block) + text("c()\n"), src(block), "c()"},
		{"other line ends", strings.ReplaceAll(text(block), "\n", "\r\n"), src(block), "\r"},
		{"a fence that does not end", "```go\nx()\n", src(block), "does not end"},
		{"an Example that is not run", text(body), src(body), "Example has no output"},
		{"an Example that is not shown", "text", src(block), "Example is not in the README"},
	} {
		t.Run(c.name, func(t *testing.T) {
			faults, err := compare([]byte(c.readme), c.examples)
			require.NoError(t, err)
			if c.fault == "" {
				require.Empty(t, faults)
				return
			}
			require.Contains(t, strings.Join(faults, "\n"), c.fault)
		})
	}
}

var (
	fence    = regexp.MustCompile("(?m)^[ \t]*(```+|~~~+)[ \t]*(go|Go|golang)\\b.*$")
	fenceEnd = regexp.MustCompile("(?m)^[ \t]*(```+|~~~+)[ \t\r]*$")
)

// blocks returns the Go blocks of text. One that does not end is a fault.
func blocks(text string) (found, faults []string) {
	for {
		begin := fence.FindStringIndex(text)
		if begin == nil {
			return found, faults
		}
		text = strings.TrimPrefix(text[begin[1]:], "\n")
		end := fenceEnd.FindStringIndex(text)
		if end == nil {
			return found, append(faults, "a Go block does not end")
		}
		found = append(found, text[:end[0]])
		text = text[end[1]:]
	}
}

// compare returns each Go block of readme that is not the body of an Example
// in source, each Example that go test compiles but does not run, and each
// that is not shown.
func compare(readme, source []byte) (faults []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, examplesFile, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	shown, faults := blocks(string(readme))
	used := make([]bool, len(shown))
	for _, x := range doc.Examples(file) {
		name := "Example" + x.Name
		if x.Output == "" && !x.EmptyOutput {
			faults = append(faults, name+" has no output, so that go test does not run it")
		}
		body, ok := bodyOf(fset, file, name, source)
		seen := false
		for i, block := range shown {
			if ok && block == body {
				used[i], seen = true, true
			}
		}
		if !seen {
			faults = append(faults, name+" is not in the README")
		}
	}
	for i, block := range shown {
		if !used[i] {
			faults = append(faults, fmt.Sprintf("no Example has the body:\n%s", block))
		}
	}
	return faults, nil
}

// bodyOf returns what stands between the braces of a function, one tab to the
// left.
func bodyOf(fset *token.FileSet, file *ast.File, name string, source []byte) (string, bool) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
			body := string(source[fset.Position(f.Body.Lbrace).Offset+1 : fset.Position(f.Body.Rbrace).Offset])
			return strings.TrimPrefix(strings.ReplaceAll(body, "\n\t", "\n"), "\n"), true
		}
	}
	return "", false
}
