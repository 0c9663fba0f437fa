package failover

import (
	"errors"
	"math/bits"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Journal keeps for a group what its members are owed: for each key that some
// member has not got yet, one record with the newest version. A newer version
// replaces the record, so a journal is as large as what is owed, not as what
// was written.
//
// A group calls Open once, before anything else, and Close last. All other
// methods are safe for concurrent use. "Durable" below means: will be in the
// Recovery that the next process gets from Open, however this one ends. One that
// panics has failed, as with an error.
type Journal interface {
	// Open hands out what an earlier process left, and learns which name
	// stands behind which bit of Members. A journal that owes something to a
	// member that is not in names says so in its error.
	Open(names []string) (Recovery, error)
	// Durable reports whether records outlive the process. If not, nothing
	// below needs to be durable either. A group asks once, before Open.
	Durable() bool
	// Reserve makes room for keys more records with bytes more of keys and
	// values, or returns an error that matches ErrJournalFull. Every write
	// reserves before it is sent; Release gives the room back.
	Reserve(keys int, bytes int64) error
	Release(keys int, bytes int64)
	// Put replaces the records of their keys, all or none; one that asks for
	// nothing (Record.Empty) removes that of its key. It is durable when Put
	// returns nil. After an error it may be durable or not.
	Put(recs ...Record) error
	// Forget removes the records of its keys, unless they are newer: a record
	// whose Seq is greater than the one given stays. It is durable when Forget
	// returns nil.
	Forget(recs ...Record) error
	// Note keeps a fact of the group's own under a name, in place of the last;
	// nil removes it. It is durable when Note returns nil.
	Note(name string, fact []byte) error
	// Status says what keeps the journal from taking records, from what it knows
	// already: it waits for no disk.
	Status() resilient.JournalStatus
	// Size returns what the records take, reservations not counted.
	Size() (keys int, bytes int64)
	// Close ends the journal's use. clean says that no call was cut short.
	Close(clean bool) error
}

// Record is what is owed of one key.
type Record struct {
	Key    string
	Value  []byte // of a Set; neither the journal nor the group changes it
	Delete bool
	Owed   Members // who has not got it
	// Remove is who may hold a copy that must be removed once nobody is owed
	// the version. A record with nothing but Remove has no version.
	Remove Members
	// Intent says that the version was about to be sent and is not known to
	// have been decided: it is rolled forward after a restart.
	Intent bool
	// Seq tells the records of one key apart: a newer one has a greater Seq.
	Seq uint64
	// Since is when the key began to be owed: newer versions keep it until
	// nobody is owed the key any more.
	Since time.Time
}

// Empty reports whether the record asks for nothing.
func (r Record) Empty() bool { return r.Owed|r.Remove == 0 }

// size is what a record counts against a bound in bytes.
func (r Record) size() int64 { return int64(len(r.Key) + len(r.Value)) }

// Recovery is what an earlier process left in a journal.
type Recovery struct {
	Records []Record
	Notes   map[string][]byte
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
	return &memoryJournal{maxKeys: maxKeys, maxBytes: memoryMaxBytes, kept: map[string]kept{}}
}

type memoryJournal struct {
	maxKeys  int
	maxBytes int64

	mu            sync.Mutex // guards all below
	opened        bool
	kept          map[string]kept // of each record
	bytes         int64           // sum of sizes
	reservedKeys  int
	reservedBytes int64
	refused       refusal // the latest for want of room
}

// refusal is what a journal has no room for, and since when it has had none.
type refusal struct {
	keys  int
	bytes int64
	since time.Time // zero = nothing was refused that there is no room for still
}

func (r *refusal) note(keys int, bytes int64) {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	r.keys, r.bytes = keys, bytes
}

// kept is what a memoryJournal knows of a record.
type kept struct {
	size int64
	seq  uint64
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
	if !j.fitsLocked(keys, bytes) {
		// What an empty journal could not hold says nothing of other writes.
		if keys <= max(1, j.maxKeys) && bytes <= j.maxBytes {
			j.refused.note(keys, bytes)
		}
		return ErrJournalFull
	}
	j.reservedKeys += keys
	j.reservedBytes += bytes
	return nil
}

func (j *memoryJournal) fitsLocked(keys int, bytes int64) bool {
	return (keys <= 0 || len(j.kept)+j.reservedKeys+keys <= j.maxKeys) &&
		(bytes <= 0 || j.bytes+j.reservedBytes+bytes <= j.maxBytes)
}

// madeRoomLocked forgets what was refused last if it would not be refused now:
// that it is again, later, is for another refusal to say.
func (j *memoryJournal) madeRoomLocked() {
	if j.fitsLocked(j.refused.keys, j.refused.bytes) {
		j.refused = refusal{}
	}
}

func (j *memoryJournal) Status() resilient.JournalStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.refused.since.IsZero() {
		return resilient.JournalStatus{State: resilient.JournalFull, Since: j.refused.since}
	}
	return resilient.JournalStatus{}
}

func (j *memoryJournal) Release(keys int, bytes int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reservedKeys -= keys
	j.reservedBytes -= bytes
	j.madeRoomLocked()
}

func (j *memoryJournal) Put(recs ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range recs {
		j.removeLocked(r.Key)
		if !r.Empty() {
			j.kept[r.Key] = kept{r.size(), r.Seq}
			j.bytes += r.size()
		}
	}
	j.madeRoomLocked()
	return nil
}

func (j *memoryJournal) removeLocked(key string) {
	j.bytes -= j.kept[key].size
	delete(j.kept, key)
}

func (j *memoryJournal) Forget(recs ...Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range recs {
		if j.kept[r.Key].seq <= r.Seq {
			j.removeLocked(r.Key)
		}
	}
	j.madeRoomLocked()
	return nil
}

func (j *memoryJournal) Note(string, []byte) error { return nil }

func (j *memoryJournal) Size() (int, int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.kept), j.bytes
}

func (j *memoryJournal) Close(bool) error { return nil }
