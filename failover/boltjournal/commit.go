package boltjournal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/failover"
)

// change is what one call wants committed.
type change struct {
	put    []failover.Record
	forget []failover.Record
	name   string // of a note
	fact   []byte
	noted  bool
	done   chan error // has room for the one result
}

func (c *change) records() int { return max(1, len(c.put)+len(c.forget)) }

func (c *change) bytes() (n int64) {
	for _, r := range c.put {
		n += int64(len(r.Key) + len(r.Value))
	}
	return n
}

// checkSize refuses what bbolt could not hold.
func checkSize(r failover.Record) error {
	switch {
	case r.Key == "":
		return errors.New("the key is empty")
	case len(r.Key) > bbolt.MaxKeySize:
		return fmt.Errorf("a key has %d bytes, bbolt takes %d", len(r.Key), bbolt.MaxKeySize)
	case len(r.Value) > bbolt.MaxValueSize-recordHead:
		return fmt.Errorf("a value has %d bytes, bbolt takes %d", len(r.Value), bbolt.MaxValueSize-recordHead)
	}
	return nil
}

// plan is what a commit changes.
type plan struct {
	recs  map[string]*item // sealed; nil removes
	notes map[string]*note // nil removes
}

func (p *plan) empty() bool { return len(p.recs)+len(p.notes) == 0 }

// plan works out what the changes of group, one after the other, come to. Only
// the writer's goroutine changes the contents, so it may read them unlocked.
func (w *writer) plan(group []*change) *plan {
	c := w.mu.c
	p := &plan{recs: map[string]*item{}, notes: map[string]*note{}}
	current := func(key string) *item {
		if it, ok := p.recs[key]; ok {
			return it
		}
		if it, ok := c.recs[key]; ok {
			return &it
		}
		return nil
	}
	for _, ch := range group {
		for _, r := range ch.put {
			old := current(r.Key)
			switch {
			case !r.Empty():
				it := item{rec: r}.sealed()
				p.recs[r.Key] = &it
			case old != nil:
				p.recs[r.Key] = nil
			}
		}
		for _, r := range ch.forget {
			if old := current(r.Key); old != nil && old.rec.Seq <= r.Seq {
				p.recs[r.Key] = nil
			}
		}
		if ch.noted {
			p.notes[ch.name] = nil
			if ch.fact != nil {
				n := newNote(ch.name, ch.fact)
				p.notes[ch.name] = &n
			}
		}
	}
	return p
}

// apply makes the changes of p in tx. had is what the file holds.
func (p *plan) apply(tx *bbolt.Tx, had *contents) error {
	h := had.head()
	recs, notes := tx.Bucket(recordsBucket), tx.Bucket(notesBucket)
	for _, key := range slices.Sorted(maps.Keys(p.recs)) { // bbolt fills pages best in order
		var sum uint32
		err := error(nil)
		it := p.recs[key]
		if it != nil {
			sum = it.sum
			err = recs.Put([]byte(key), it.encode())
		} else {
			err = recs.Delete([]byte(key))
		}
		if err != nil {
			return err
		}
		old, replaces := had.recs[key]
		h.recs, h.sums.recs = count(h.recs, replaces, it != nil), h.sums.recs-uint64(old.sum)+uint64(sum)
	}
	for name, n := range p.notes {
		var sum uint32
		err := error(nil)
		if n != nil {
			sum = n.sum
			err = notes.Put([]byte(name), n.encode())
		} else {
			err = notes.Delete([]byte(name))
		}
		if err != nil {
			return err
		}
		old, replaces := had.notes[name]
		h.notes, h.sums.notes = count(h.notes, replaces, n != nil), h.sums.notes-uint64(old.sum)+uint64(sum)
	}
	return tx.Bucket(headBucket).Put(headKey, h.encode())
}

// count returns n after one key's change.
func count(n uint64, before, after bool) uint64 {
	if before {
		n--
	}
	if after {
		n++
	}
	return n
}

// commit makes p durable. After an error, certain says that the file is as it
// was.
func (w *writer) commit(p *plan) (certain bool, err error) {
	if !isAt(w.f.info, w.j.path) {
		return true, errGone
	}
	id := 0
	err = w.f.update(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return p.apply(tx, w.mu.c)
	})
	if err == nil {
		return true, nil
	}
	return w.undone(err, id), err
}

// undone reports whether transaction id, whose commit failed with err, has
// certainly left the file as it was: nothing but space was lacking, and the
// file does not show it.
func (w *writer) undone(err error, id int) bool {
	if !lacksSpace(err) {
		return false
	}
	last, err := w.f.lastCommit()
	return err == nil && last < id
}

var errGone = errors.New("the file is not at its path any more")

// lacksSpace reports whether a commit failed for want of space, or of the
// right to write, and nothing else.
func lacksSpace(err error) bool {
	for _, target := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
