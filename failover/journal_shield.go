package failover

import (
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/resilient"
)

// shield stands between a group and its Journal, which may be somebody else's:
// a panic there becomes an error, since the group holds locks of keys that must
// be given back. What it was about to record may be durable or not, as after any
// other error.
type shield struct {
	journal Journal
	durable bool // it says so once and for all
}

func newShield(journal Journal) *shield {
	return &shield{journal: journal, durable: journal.Durable()}
}

// contain makes an error of a panic of the journal. The panic's value may hold
// a key or a value: only its type is told.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("failover: the journal panicked with a %T", v)
	}
}

// Open refuses what no journal can mean: two records of one key.
func (s *shield) Open(names []string) (left Recovery, err error) {
	defer contain(&err)
	if left, err = s.journal.Open(names); err != nil {
		return left, err
	}
	seen := make(map[string]bool, len(left.Records))
	for _, r := range left.Records {
		if seen[r.Key] {
			return left, errors.New("failover: Config.Journal: it has two records of one key")
		}
		seen[r.Key] = true
	}
	return left, nil
}

func (s *shield) Durable() bool { return s.durable }

func (s *shield) Reserve(keys int, bytes int64) (err error) {
	defer contain(&err)
	return s.journal.Reserve(keys, bytes)
}

// Release tells nobody of a panic: the write that took the room is over.
func (s *shield) Release(keys int, bytes int64) {
	defer func() { _ = recover() }()
	s.journal.Release(keys, bytes)
}

func (s *shield) Put(recs ...Record) (err error) {
	defer contain(&err)
	return s.journal.Put(recs...)
}

func (s *shield) Forget(recs ...Record) (err error) {
	defer contain(&err)
	return s.journal.Forget(recs...)
}

func (s *shield) Note(name string, fact []byte) (err error) {
	defer contain(&err)
	return s.journal.Note(name, fact)
}

// Status lets a panic through: no lock is held, and nothing is half done.
func (s *shield) Status() resilient.JournalStatus { return s.journal.Status() }

func (s *shield) Close(clean bool) (err error) {
	defer contain(&err)
	return s.journal.Close(clean)
}
