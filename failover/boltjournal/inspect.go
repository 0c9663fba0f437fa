package boltjournal

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/failover"
)

// Report is what Inspect has found in a journal. It holds no values.
type Report struct {
	Clean   bool      // the last use ended well; false also while it goes on
	Keys    int       // records
	Bytes   int64     // their keys and values, as Config.MaxBytes counts them
	Intents int       // records of writes that were not known to be decided
	Oldest  time.Time // since when a key has been owed; zero = none is
	Owing   []Owing   // per member, the most wanted first
	Notes   []string  // names of the group's notes, sorted
	Records []Entry   // oldest first
}

// Owing is what one member is owed.
type Owing struct {
	Member   string
	Writes   int // it has not got
	Removals int // of copies that it must not keep
}

// Entry is one record.
type Entry struct {
	Key    string
	Size   int // of the value, in bytes
	Delete bool
	Intent bool
	Owed   []string // members that have not got the version
	Remove []string // members that may hold a copy which is to be removed
	Since  time.Time
	Seq    uint64
}

// Inspect reads and verifies the journal in the file at path, and changes
// nothing. It needs the right to read only, and the journal must not be in
// use. A damaged journal is an error that matches ErrDamaged. MaxKeys,
// MaxBytes and NoSync do not matter.
func Inspect(path string, cfg Config) (Report, error) {
	path, err := absolute(path)
	if err != nil {
		return Report{}, err
	}
	cfg = cfg.withDefaults()
	c, err := inspect(path, time.Now().Add(max(0, cfg.LockTimeout)))
	if err != nil {
		return Report{}, cannot("read", path, err)
	}
	return c.report(), nil
}

func inspect(path string, deadline time.Time) (*contents, error) {
	f, err := openLocked(path, os.O_RDONLY, true, deadline)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readFile(f)
}

// oldestFirst returns the records in the order in which their keys were first
// owed.
func (c *contents) oldestFirst() []item {
	return slices.SortedFunc(maps.Values(c.recs), func(a, b item) int {
		return cmp.Or(a.rec.Since.Compare(b.rec.Since), cmp.Compare(a.rec.Seq, b.rec.Seq))
	})
}

func (c *contents) report() Report {
	r := Report{
		Clean: c.clean, Keys: len(c.recs), Bytes: c.bytes,
		Owing: make([]Owing, len(c.names)), Notes: slices.Sorted(maps.Keys(c.notes)),
	}
	for i, name := range c.names {
		r.Owing[i].Member = name
	}
	for _, it := range c.oldestFirst() {
		rec := it.rec
		e := Entry{Key: rec.Key, Size: len(rec.Value), Delete: rec.Delete, Intent: rec.Intent, Since: rec.Since, Seq: rec.Seq}
		for i, name := range c.names {
			bit := failover.Members(1) << i
			if rec.Owed&bit != 0 {
				r.Owing[i].Writes++
				e.Owed = append(e.Owed, name)
			}
			if rec.Remove&bit != 0 {
				r.Owing[i].Removals++
				e.Remove = append(e.Remove, name)
			}
		}
		if rec.Intent {
			r.Intents++
		}
		if rec.Owed != 0 && r.Oldest.IsZero() {
			r.Oldest = rec.Since
		}
		r.Records = append(r.Records, e)
	}
	return r
}
