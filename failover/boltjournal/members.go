package boltjournal

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/internal/notes"
)

// renamed returns c with the bits of its records as names has them. A member
// that is not in names and that nobody owes anything is dropped.
func (c *contents) renamed(names []string) (*contents, error) {
	to := make([]int, len(c.names)) // bit by bit
	for i, name := range c.names {
		to[i] = slices.Index(names, name)
	}
	now := newContents(slices.Clone(names))
	missing := make([]int, len(c.names))
	for _, it := range c.recs {
		old := it.rec
		it.rec.Owed, it.rec.Remove = 0, 0
		for i := range to {
			bit := failover.Members(1) << i
			switch {
			case (old.Owed|old.Remove)&bit == 0:
			case to[i] < 0:
				missing[i]++
			default:
				if old.Owed&bit != 0 {
					it.rec.Owed |= 1 << to[i]
				}
				if old.Remove&bit != 0 {
					it.rec.Remove |= 1 << to[i]
				}
			}
		}
		now.put(it.sealed())
	}
	for name, n := range c.notes {
		now.putNote(name, n)
	}
	var gone []string
	for i, n := range missing {
		if n > 0 {
			gone = append(gone, fmt.Sprintf("member %q is not in the group and is owed %d keys", c.names[i], n))
		}
	}
	if gone != nil {
		return nil, fmt.Errorf("%s: add it again, or give them up with boltjournal.Discard (holdfast-journal discard)",
			strings.Join(gone, "; "))
	}
	return now, nil
}

// Discard forgets what the journal in the file at path owes to a member, and
// returns how many writes it was owed. It is for a member that has left the
// group for good, and while no process has the journal open; a member of a
// running group is a matter for failover.KV.Discard. What is given up is lost
// there: a member that returns has old values, and keys that were deleted.
func Discard(path, member string, cfg Config) (lost int, err error) {
	path, err = absolute(path)
	if err != nil {
		return 0, err
	}
	cfg = cfg.withDefaults()
	l, err := takeLeft(path, cfg)
	if err != nil {
		return 0, cannot("open", path, err)
	}
	defer l.release()
	if l.file == nil {
		return 0, cannot("open", path, fs.ErrNotExist)
	}
	now, lost, err := l.had.without(member)
	if err != nil {
		return 0, cannot("change", path, err)
	}
	f, err := l.replace(now, cfg)
	if f != nil {
		if closed := f.close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return 0, cannot("change", path, err)
	}
	return lost, nil
}

// without returns c as it is when the member is owed nothing and has no name.
func (c *contents) without(member string) (now *contents, lost int, err error) {
	gone := slices.Index(c.names, member)
	if gone < 0 {
		return nil, 0, fmt.Errorf("it has no member %q; its members are %q", member, c.names)
	}
	kept := newContents(c.names)
	for _, it := range c.recs {
		bit := failover.Members(1) << gone
		if it.rec.Owed&bit != 0 {
			lost++
		}
		it.rec.Owed &^= bit
		it.rec.Remove &^= bit
		if it.rec.Owed == 0 { // no version is left
			it.rec.Value, it.rec.Delete, it.rec.Intent = nil, false, false
		}
		if !it.rec.Empty() {
			kept.put(it.sealed())
		}
	}
	for name, n := range c.notes {
		kept.putNote(name, n)
	}
	if lost > 0 {
		kept.putNote(notes.Incomplete(member), newNote(notes.Incomplete(member), notes.Set()))
	}
	now, err = kept.renamed(slices.Delete(slices.Clone(c.names), gone, gone+1))
	if err == nil {
		now.clean = c.clean
	}
	return now, lost, err
}
