package failover

import (
	"errors"
	"math/bits"
	"sync"
)

// Journal keeps for a group what its members are owed: for each key that some
// member has not got yet, one record with the newest version. A newer version
// replaces the record, so a journal is as large as what is owed, not as what
// was written.
//
// A group calls Open once, before anything else, and Close last. All other
// methods are safe for concurrent use.
type Journal interface {
	// Open hands out what an earlier process left, and learns which name
	// stands behind which bit of Members. A journal that owes something to a
	// member that is not in names says so in its error.
	Open(names []string) (Recovery, error)
	// Durable reports whether records outlive the process.
	Durable() bool
	// Reserve makes room for keys more records with bytes more of keys and
	// values, or returns an error that matches ErrJournalFull. Every write
	// reserves before it is sent; Release gives the room back.
	Reserve(keys int, bytes int64) error
	Release(keys int, bytes int64)
	// Put replaces the records of their keys. They are durable when it
	// returns, if Durable.
	Put(recs ...Record) error
	// Forget removes records. It may become durable later.
	Forget(keys ...string)
	// Size returns what the records take, reservations not counted.
	Size() (keys int, bytes int64)
	// Close ends the journal's use. clean says that no call was cut short.
	Close(clean bool) error
}

// Record is what is owed of one key.
type Record struct {
	Key    string
	Value  []byte // of a Set; the journal must not change it
	Delete bool
	Owed   Members // who has not got it
	// Intent says that the version was about to be sent and is not known to
	// have been decided: it is rolled forward after a restart.
	Intent bool
}

// size is what a record counts against a bound in bytes.
func (r Record) size() int64 { return int64(len(r.Key) + len(r.Value)) }

// Recovery is what an earlier process left in a journal.
type Recovery struct {
	Records []Record
	Clean   bool // the earlier process closed the journal, or there was none
}

// Members is a set of members; bit i is the i-th, the most wanted is bit 0.
type Members uint64

// maxMembers is how many members a set can hold.
const maxMembers = 64

func member(i int) Members              { return 1 << i }
func allMembers(n int) Members          { return 1<<n - 1 }
func (m Members) has(i int) bool        { return m&member(i) != 0 }
func (m Members) with(i int) Members    { return m | member(i) }
func (m Members) without(i int) Members { return m &^ member(i) }

// Len returns the number of members in the set.
func (m Members) Len() int { return bits.OnesCount64(uint64(m)) }

const (
	defaultMaxKeys = 100_000
	memoryMaxBytes = 256 << 20
)

// MemoryJournal returns a Journal that keeps nothing beyond the process: what
// is owed when the process ends is lost. It holds at most maxKeys records (0 =
// 100,000, negative = 0) and 256 MiB of keys and values; a write that might
// need more is refused with ErrJournalFull before it is sent. The memory is
// the group's own: the journal only counts.
func MemoryJournal(maxKeys int) Journal {
	switch {
	case maxKeys == 0:
		maxKeys = defaultMaxKeys
	case maxKeys < 0:
		maxKeys = 0
	}
	return &memoryJournal{maxKeys: maxKeys, maxBytes: memoryMaxBytes, sizes: map[string]int64{}}
}

type memoryJournal struct {
	maxKeys  int
	maxBytes int64

	mu            sync.Mutex // guards all below
	opened        bool
	sizes         map[string]int64 // of each record
	bytes         int64            // sum of sizes
	reservedKeys  int
	reservedBytes int64
}

func (j *memoryJournal) Open([]string) (Recovery, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.opened {
		return Recovery{}, errors.New("failover: this MemoryJournal belongs to another group")
	}
	j.opened = true
	return Recovery{Clean: true}, nil
}

func (j *memoryJournal) Durable() bool { return false }

func (j *memoryJournal) Reserve(keys int, bytes int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.sizes)+j.reservedKeys+keys > j.maxKeys || j.bytes+j.reservedBytes+bytes > j.maxBytes {
		return ErrJournalFull
	}
	j.reservedKeys += keys
	j.reservedBytes += bytes
	return nil
}

func (j *memoryJournal) Release(keys int, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reservedKeys -= keys
	j.reservedBytes -= bytes
}

func (j *memoryJournal) Put(recs ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range recs {
		j.bytes += r.size() - j.sizes[r.Key]
		j.sizes[r.Key] = r.size()
	}
	return nil
}

func (j *memoryJournal) Forget(keys ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, key := range keys {
		j.bytes -= j.sizes[key]
		delete(j.sizes, key)
	}
}

func (j *memoryJournal) Size() (int, int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.sizes), j.bytes
}

func (j *memoryJournal) Close(bool) error { return nil }
