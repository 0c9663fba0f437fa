package compattest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Versions begins the one line of a section that may differ from machine to
// machine.
const Versions = "Tested with "

// Keep makes text the section called name of a page in docs/ if
// HOLDFAST_WRITE_DOCS is set, and else fails the test if the section is not
// that. command is what writes it.
func Keep(t *testing.T, page, name, text, command string) {
	t.Helper()
	path, err := find(page)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s -->\n", name), fmt.Sprintf("<!-- end of %s -->\n", name)
	before, rest, ok := strings.Cut(string(doc), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/%s has no section between %q and %q", page, begin, end)
	}
	if os.Getenv("HOLDFAST_WRITE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(before+begin+text+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if withoutVersions(old) != withoutVersions(text) {
		t.Errorf("docs/%s says of %s:\n%s\nfound was:\n%s\nHOLDFAST_WRITE_DOCS=1 %s writes it", page, name, old, text, command)
	}
}

// withoutVersions drops the line that may differ.
func withoutVersions(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, Versions) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// find returns the path of a page in the folder docs of the repository.
func find(page string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		path := filepath.Join(dir, "docs", page)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no folder above has docs/" + page)
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
