package boltjournal

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrDamaged says that a journal's file does not hold what was written to it.
// Nothing of it is used then: what is missing could be an acknowledged write.
var ErrDamaged = errors.New("boltjournal: the journal is damaged")

var (
	// errForeign says that a file is whole but no journal.
	errForeign = errors.New("it is a bbolt file of something else")
	// errVersion says that a file is whole, and that a version which writes
	// another format can read it.
	errVersion = errors.New("another version has written it")
)

// readFile is read for a file that is locked.
func readFile(f *os.File) (*contents, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return read(f, info.Size())
}

// read returns what the journal in length bytes holds. It reports what is not
// a journal, and every damage to what the journal holds.
func read(r io.ReaderAt, length int64) (*contents, error) {
	if length == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	p, err := openPages(r, length)
	if err != nil {
		return nil, damaged(err)
	}
	buckets := map[string][]byte{}
	err = p.walk(p.root, 0, func(e element) error {
		if !e.bucket {
			return errUnknown
		}
		buckets[string(e.key)] = append([]byte{}, e.value...)
		return nil
	})
	if err != nil {
		return nil, damaged(err)
	}
	if buckets[string(headBucket)] == nil {
		return nil, damaged(errForeign)
	}
	c, err := readBuckets(p, buckets)
	if err != nil {
		return nil, damaged(err)
	}
	return c, nil
}

// damaged makes err match ErrDamaged unless it says something else.
func damaged(err error) error {
	var sys *os.PathError
	if errors.Is(err, errNotBolt) || errors.Is(err, errForeign) || errors.Is(err, errVersion) || errors.As(err, &sys) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func readBuckets(p *pages, buckets map[string][]byte) (*contents, error) {
	var h head
	heads := 0
	err := p.bucket(buckets[string(headBucket)], func(e element) (err error) {
		if e.bucket || string(e.key) != string(headKey) {
			return errUnknown
		}
		heads++
		h, err = decodeHead(e.value)
		return err
	})
	if err == nil && (heads != 1 || len(buckets) != 3) {
		err = errShort
	}
	if err != nil {
		return nil, fmt.Errorf("the head: %w", err)
	}
	c := newContents(h.names)
	c.clean = h.clean
	var recs, notes uint64
	err = p.bucket(buckets[string(recordsBucket)], func(e element) error {
		recs++
		it, err := decodeItem(e.key, e.value)
		if err != nil {
			return fmt.Errorf("record %d: %w", recs, err)
		}
		if e.bucket || (it.rec.Owed|it.rec.Remove)>>len(h.names) != 0 {
			return fmt.Errorf("record %d: %w", recs, errUnknown)
		}
		c.put(it)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = p.bucket(buckets[string(notesBucket)], func(e element) error {
		notes++
		n, err := decodeNote(e.key, e.value)
		if err == nil && e.bucket {
			err = errUnknown
		}
		if err != nil {
			return fmt.Errorf("note %d: %w", notes, err)
		}
		c.putNote(string(e.key), n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if recs != h.recs || notes != h.notes || c.sums != h.sums || uint64(len(c.recs)) != recs || uint64(len(c.notes)) != notes {
		return nil, fmt.Errorf("it has %d of %d records and %d of %d notes, or other ones", recs, h.recs, notes, h.notes)
	}
	return c, nil
}
