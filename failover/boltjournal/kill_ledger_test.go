package boltjournal

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ledger is what processes have said of a group's keys, and what was wrong with
// what was read of them.
type ledger struct {
	keys map[string]*account

	tried, acked, refused, reads int
	lost, invented               int
	faults                       []string
}

// account is what is known of one key. "-" stands for no value.
type account struct {
	held  string          // what it holds unless one of maybe was applied
	maybe []string        // written since, and neither acknowledged nor refused
	ever  map[string]bool // all that was ever to be written
}

func newLedger() *ledger { return &ledger{keys: map[string]*account{}} }

func (l *ledger) of(key string) *account {
	if l.keys[key] == nil {
		l.keys[key] = &account{held: "-", ever: map[string]bool{"-": true}}
	}
	return l.keys[key]
}

// read notes that key was read as value, which is what it holds from then on if
// reading decides that.
func (l *ledger) read(key, value string, decides bool) {
	l.reads++
	a := l.of(key)
	switch {
	case value == a.held || slices.Contains(a.maybe, value):
		if decides {
			a.held, a.maybe = value, nil
		}
		return
	case a.ever[value]:
		l.lost++
	default:
		l.invented++
	}
	l.faults = append(l.faults, fmt.Sprintf("%s is %s, should be %s or one of %v", key, value, a.held, a.maybe))
}

// heed takes note of one line of a process. It reports false if that is none.
func (l *ledger) heed(line string, decides bool) bool {
	f := strings.Fields(line)
	if len(f) != 3 || len(f[0]) != 1 {
		return false
	}
	what, value, a := f[0], f[2], l.of(f[1])
	switch what {
	case "T":
		a.maybe = append(a.maybe, value)
		a.ever[value] = true
		l.tried++
	case "A":
		a.held, a.maybe = value, nil
		l.acked++
	case "F":
		a.maybe = slices.DeleteFunc(a.maybe, func(v string) bool { return v == value })
		l.refused++
	case "R":
		l.read(f[1], value, decides)
	default:
		return false
	}
	return true
}

// follow notes what a process says until it is dead. It calls writes when the
// process begins to write, and returns what it said of where it was at last.
func (l *ledger) follow(r io.Reader, decides bool, writes func()) (where string) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		switch {
		case line == "W":
			writes()
		case strings.HasPrefix(line, "K"):
			where = line
		case !l.heed(line, decides):
			l.faults = append(l.faults, line)
		}
	}
	return where
}

func TestTheLedgerNoticesWhatIsLostAndWhatIsInvented(t *testing.T) {
	const said = "T k 1\nA k 1\nT k 2\nA k 2\nT k 3\nT k 4\nF k 4\n"
	for value, want := range map[string]*ledger{
		"2": {},            // acknowledged
		"3": {},            // cut off
		"1": {lost: 1},     // older than what was acknowledged
		"-": {lost: 1},     // none
		"4": {lost: 1},     // refused
		"5": {invented: 1}, // nobody wrote it
	} {
		l := newLedger()
		l.follow(strings.NewReader(said+"R k "+value+"\n"), true, nil)
		require.Equal(t, want.lost, l.lost, value)
		require.Equal(t, want.invented, l.invented, value)
		require.Len(t, l.faults, want.lost+want.invented)
	}

	l := newLedger()
	l.follow(strings.NewReader(said+"R k 2\nR k 3\n"), true, nil)
	require.Equal(t, 1, l.lost, "the second read un-reads the first")
	l = newLedger()
	l.follow(strings.NewReader(said+"R k 2\nR k 3\n"), false, nil)
	require.Zero(t, l.lost)
	l = newLedger()
	l.follow(strings.NewReader("T k\nE text\n"), true, nil)
	require.Len(t, l.faults, 2)
}
