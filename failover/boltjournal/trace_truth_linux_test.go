package boltjournal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// changes are what an operation makes of the contents of a journal: values by
// the names of what is in it; "" removes.
type changes map[string]string

// truth is what a journal must hold, from what a series has said.
type truth struct {
	held map[string]string          // acknowledged
	open map[string]changes         // begun, by number, and neither acknowledged nor refused
	ever map[string]map[string]bool // all that was ever to be there
}

func newTruth() *truth {
	return &truth{held: map[string]string{"clean": "true"}, open: map[string]changes{}, ever: map[string]map[string]bool{}}
}

// heed takes note of one line. It reports whether something was acknowledged.
func (u *truth) heed(line string) (acked bool, err error) {
	what, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, text, _ := strings.Cut(rest, " ")
	switch what {
	case "T":
		c := changes{}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return false, err
		}
		u.open[n] = c
		for key, value := range c {
			if u.ever[key] == nil {
				u.ever[key] = map[string]bool{}
			}
			u.ever[key][value] = true
		}
	case "A":
		for key, value := range u.open[n] {
			u.held[key] = value
			for _, older := range u.open { // what failed before this is decided now
				delete(older, key)
			}
		}
		delete(u.open, n)
	case "F":
		delete(u.open, n)
	default:
		return false, fmt.Errorf("%w: %q", errTrace, line)
	}
	return what == "A", nil
}

// verdict is what was wrong with journals that were found.
type verdict struct {
	lost, invented, torn, errors int
	text                         string // of the first
}

func (v verdict) bad() int { return v.lost + v.invented + v.torn + v.errors }

// judge compares what a journal was found to hold with the truth.
func (u *truth) judge(found changes) (v verdict) {
	keys := maps.Clone(u.held)
	maps.Copy(keys, found)
	for _, c := range u.open {
		maps.Copy(keys, c)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := found[key]
		ok := value == u.held[key]
		for _, c := range u.open {
			after, changes := c[key]
			ok = ok || changes && value == after
		}
		switch {
		case ok:
			continue
		case value == "", u.ever[key][value], key == "clean":
			v.lost++
		default:
			v.invented++
		}
		v.text += fmt.Sprintf("%q is %q, should be %q; ", key, value, u.held[key])
	}
	for n, c := range u.open {
		if !u.whole(c, found) {
			v.torn++
			v.text += fmt.Sprintf("a part of change %s is there; ", n)
		}
	}
	return v
}

// whole reports whether found has all or nothing of c.
func (u *truth) whole(c changes, found changes) bool {
	before, after := 0, 0
	for key, value := range c {
		is := found[key]
		switch {
		case u.held[key] == value: // cannot be told apart
		case is == value:
			after++
		case is == u.held[key]:
			before++
		}
	}
	return before == 0 || after == 0
}

func TestTheTruthNoticesWhatIsLostInventedAndTorn(t *testing.T) {
	u := newTruth()
	for _, line := range []string{
		`T 1 {"k":"1"}`, "A 1", `T 2 {"k":"2","l":"2"}`, "A 2", `T 3 {"k":"3","l":"3","m":""}`, `T 4 {"n":"4"}`, "F 4", `T 5 {"o":"5"}`, `T 6 {"o":"6"}`,
	} {
		_, err := u.heed(line)
		require.NoError(t, err)
	}
	with := func(more changes) changes {
		c := changes{"clean": "true", "k": "2", "l": "2"}
		maps.Copy(c, more)
		return c
	}
	for _, c := range []struct {
		found changes
		want  verdict
	}{
		{with(nil), verdict{}},
		{with(changes{"k": "3", "l": "3"}), verdict{}},
		{with(changes{"o": "5"}), verdict{}},
		{with(changes{"o": "6"}), verdict{}},
		{with(changes{"k": "3"}), verdict{torn: 1}},
		{with(changes{"k": "1"}), verdict{lost: 1}},
		{with(changes{"k": "", "l": ""}), verdict{lost: 2}},
		{with(changes{"n": "4"}), verdict{lost: 1}}, // refused: what was before is lost
		{with(changes{"k": "x", "y": "z"}), verdict{invented: 2}},
		{with(changes{"clean": "false"}), verdict{lost: 1}},
	} {
		got := u.judge(c.found)
		got.text = ""
		require.Equal(t, c.want, got, c.found)
	}
	acked, err := u.heed("A 6")
	require.NoError(t, err)
	require.True(t, acked)
	require.Equal(t, 1, u.judge(with(changes{"o": "5"})).lost)
	_, err = u.heed("X 1")
	require.Error(t, err)
}
