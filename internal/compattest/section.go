// Package compattest checks that a store's Health tells the truth in states
// that are produced for real, and keeps what was found in
// docs/compatibility.md: a test writes the section of its backend there if
// HOLDFAST_WRITE_DOCS is set, and else compares it.
package compattest

import (
	"context"
	"errors"
	"fmt"
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
	Keep(t, "compatibility.md", s.Backend, s.text(rows), "go test -run TestCompatibility ./backends/"+s.Backend)
}

func (s Section) text(rows []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s%s.\n\n", s.Backend, Versions, s.Versions)
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
