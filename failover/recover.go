package failover

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/failover/internal/notes"
)

// takeOver makes what an earlier process has left in the journal this group's,
// before its first call: what was owed still is, and what was about to be sent
// is rolled forward. Calls of that process may still take effect: of the keys
// in the journal, and of all keys if it had no time to close.
func (f *KV) takeOver(left Recovery) error {
	all, now := allMembers(len(f.peers)), time.Now()
	for _, r := range oldestFirst(left.Records, now) {
		e, err := f.taken(r, all)
		if err != nil {
			return err
		}
		for i := range f.peers {
			if planted("norestarttaint") {
				break
			}
			e.taintLocked(i, len(f.peers)).ended = now
		}
		s := f.overlay.stripe(e.key)
		s.m[e.key] = e
		f.overlay.entries.Add(1)
		e.listed = f.backlog.set(nil, e, now)
		f.retireLocked(s, e)
		f.seq.Store(max(f.seq.Load(), r.Seq))
	}
	for _, p := range f.peers {
		p.unclean = !left.Clean && !planted("norestarttaint")
		if _, noted := left.Notes[notes.Rebuilt(p.name)]; noted && f.cfg.Writes != Handoff {
			p.complete.Store(true)
		}
		if _, noted := left.Notes[notes.Incomplete(p.name)]; noted && !f.holdsAll(p) {
			p.complete.Store(false)
		}
	}
	if err := f.outdate(left.Notes); err != nil {
		return err
	}
	_, wasStrict := left.Notes[notes.Strict]
	if f.cfg.Writes != Handoff && !left.Clean && !wasStrict {
		if err := f.distrust(); err != nil {
			return err
		}
	}
	switch isStrict := f.cfg.Writes == MirrorStrict; {
	case isStrict && !wasStrict:
		return f.journal.Note(notes.Strict, notes.Set())
	case wasStrict && !isStrict:
		return f.journal.Note(notes.Strict, nil)
	}
	return nil
}

// outdate forgets that members have been rebuilt which this group does not send
// every write, or none at all: a later one must not take them for whole.
func (f *KV) outdate(facts map[string][]byte) error {
	for fact := range facts {
		name, is := notes.OfRebuilt(fact)
		if _, err := f.named(name); !is || err == nil && f.cfg.Writes != Handoff {
			continue
		}
		if err := f.journal.Note(fact, nil); err != nil {
			return fmt.Errorf("failover: %w", err)
		}
	}
	return nil
}

// oldestFirst returns the records in the order in which their keys began to be
// owed. What does not say when, or says that it is yet to be because somebody
// has set the clock, began now.
func oldestFirst(recs []Record, now time.Time) []Record {
	recs = slices.Clone(recs)
	for i, r := range recs {
		if r.Since.IsZero() || r.Since.After(now) {
			recs[i].Since = now
		}
	}
	slices.SortStableFunc(recs, func(a, b Record) int { return a.Since.Compare(b.Since) })
	return recs
}

// taken returns the entry of a record, as this group's mode has it.
func (f *KV) taken(r Record, all Members) (*entry, error) {
	e := &entry{key: r.Key, value: r.Value, delete: r.Delete, decided: true, seq: r.Seq, since: r.Since}
	e.owed, e.remove = r.Owed&all, r.Remove&all
	e.kept = recorded{e.owed, e.remove}
	switch {
	case f.cfg.Writes != Handoff && e.remove != 0:
		return nil, errors.New("failover: Config.Writes: the journal holds removals of a group in mode handoff: " +
			"let that group Flush first")
	case f.cfg.Writes == Handoff && (e.owed.without(0) != 0 || e.remove.has(0)):
		return nil, errors.New("failover: Config.Writes: the journal is of a group in another mode, or with another first member: " +
			"let that group Flush first")
	}
	return e, nil
}

// distrust takes every member but the first for incomplete from now on: writes
// that a mirror's process was making when it died may be on some members only,
// and nobody knows which.
func (f *KV) distrust() error {
	for _, p := range f.peers[1:] {
		p.complete.Store(false)
		if err := f.journal.Note(notes.Incomplete(p.name), notes.Set()); err != nil {
			return fmt.Errorf("failover: %w", err)
		}
	}
	return nil
}
