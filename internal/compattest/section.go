// Package compattest checks that a store's Health tells the truth in states
// that are produced for real, and keeps what was found in
// docs/compatibility.md: a test writes the section of its backend there if
// HOLDFAST_WRITE_DOCS is set, and else compares it.
package compattest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Section is what docs/compatibility.md says of one backend.
type Section struct {
	Backend string // package name
	// Versions are those of the driver and of the server that ran, in words. A
	// section on another version is not another section.
	Versions string
	Facts    []Fact
	States   []State
}

// Fact is one line of the list before the table: "Largest value", "512 MiB".
type Fact struct{ Name, Text string }

// State is one that a server, a file or a folder can be in.
type State struct {
	Name string // "killed (SIGKILL)"
	// Produce brings a new server, or file, into the state and returns a store
	// on it. tb ends with the state's row.
	Produce func(tb testing.TB) resilient.KVWithHealth
	// Works says that the store must serve reads and writes in this state.
	Works bool
	// NotProduced says why the state cannot be produced here; Produce is nil.
	NotProduced string
}

// answerWithin bounds each call at a store; it is the default timeout of a
// resilient.Store.
const answerWithin = 2 * time.Second

// Run produces each state and asks the store for its health, a write and a
// read. It is a failure if Health is nil and one of the others fails, if Health
// fails and State.Works, or if the section in docs/compatibility.md is not what
// was found.
func Run(t *testing.T, s Section) {
	t.Helper()
	rows := make([]string, 0, len(s.States))
	for _, st := range s.States {
		if st.Produce == nil {
			t.Logf("%s, %s: not produced: %s", s.Backend, st.Name, st.NotProduced)
			rows = append(rows, fmt.Sprintf("| %s | *not produced*: %s | | |", st.Name, st.NotProduced))
			continue
		}
		t.Run(st.Name, func(t *testing.T) { rows = append(rows, st.row(t)) })
	}
	if t.Failed() || len(rows) < len(s.States) {
		return // what is wrong must not be written down, and part of a table is none
	}
	s.keep(t, rows)
}

// row produces the state and returns what was found, as a row of the table.
func (st State) row(t *testing.T) string {
	kv := st.Produce(t)
	call := func(op func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), answerWithin)
		defer cancel()
		began := time.Now()
		err := op(ctx)
		if late := time.Since(began) - answerWithin; late > 500*time.Millisecond {
			t.Errorf("a call returned %v after its deadline", late)
		}
		return err
	}
	health := call(kv.Health)
	write := call(func(ctx context.Context) error { return kv.SetRaw(ctx, "compat", []byte("value")) })
	read := call(func(ctx context.Context) error {
		_, err := kv.GetRaw(ctx, "compat")
		if errors.Is(err, resilient.ErrNotFound) {
			return nil // an answer
		}
		return err
	})
	t.Logf("health: %v; write: %v; read: %v", health, write, read)
	if health == nil && (write != nil || read != nil) {
		t.Errorf("Health is nil, and the store does not serve: write: %v, read: %v", write, read)
	}
	if st.Works && (health != nil || write != nil || read != nil) {
		t.Errorf("the store must serve: Health: %v, write: %v, read: %v", health, write, read)
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", st.Name, verdict(health, "nil"), verdict(write, "applied"), verdict(read, "answered"))
}

// verdict is err in one word.
func verdict(err error, none string) string {
	switch {
	case err == nil:
		return none
	case errors.Is(err, resilient.ErrAmbiguous):
		return "ambiguous"
	case errors.Is(err, resilient.ErrRefused):
		return "refused"
	}
	return "fails"
}

// keep writes the section, or compares it with the one that is there.
func (s Section) keep(t *testing.T, rows []string) {
	t.Helper()
	path := filepath.Join(root(t), "docs", "compatibility.md")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := fmt.Sprintf("<!-- %s -->\n", s.Backend), fmt.Sprintf("<!-- end of %s -->\n", s.Backend)
	before, rest, ok := strings.Cut(string(doc), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/compatibility.md has no section between %q and %q", begin, end)
	}
	text := s.text(rows)
	if os.Getenv("HOLDFAST_WRITE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(before+begin+text+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if withoutVersions(old) != withoutVersions(text) {
		t.Errorf("docs/compatibility.md says of %s:\n%s\nfound was:\n%s\nHOLDFAST_WRITE_DOCS=1 go test -run TestCompatibility ./backends/%s writes it",
			s.Backend, old, text, s.Backend)
	}
}

const versions = "Tested with "

func (s Section) text(rows []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s%s.\n\n", s.Backend, versions, s.Versions)
	for _, f := range s.Facts {
		fmt.Fprintf(&b, "- %s: %s\n", f.Name, f.Text)
	}
	b.WriteString("\n| state | `Health` | a write | a read |\n|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintln(&b, row)
	}
	b.WriteString("\n")
	return b.String()
}

// withoutVersions drops the line that differs from machine to machine.
func withoutVersions(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, versions) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// root returns the folder of the module.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no go.mod in any folder above")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}
