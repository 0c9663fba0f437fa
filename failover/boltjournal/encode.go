package boltjournal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/holdfastkv/holdfast/failover"
)

// format is the version of everything below.
const format = 1

// Names in the file. A file without headBucket is no journal.
var (
	headBucket    = []byte("holdfast journal")
	recordsBucket = []byte("records")
	notesBucket   = []byte("notes")
	headKey       = []byte("head")
)

// contents is all that a journal holds.
type contents struct {
	names []string // of the members behind the bits of the records
	recs  map[string]item
	notes map[string]note
	clean bool

	bytes int64 // of recs, keys and values
	sums  sums
}

func newContents(names []string) *contents {
	return &contents{names: names, recs: map[string]item{}, notes: map[string]note{}}
}

// sums add up the checksums of records and of notes. They tell that some are
// missing: a page that an old commit wrote is well formed and has good records.
type sums struct{ recs, notes uint64 }

// item is a record as it is kept.
type item struct {
	rec failover.Record
	sum uint32
}

func (it item) size() int64 { return int64(len(it.rec.Key) + len(it.rec.Value)) }

// note is a fact of the group's own.
type note struct {
	fact []byte
	sum  uint32
}

// put replaces the record of its key.
func (c *contents) put(it item) {
	c.remove(it.rec.Key)
	c.recs[it.rec.Key] = it
	c.bytes += it.size()
	c.sums.recs += uint64(it.sum)
}

func (c *contents) remove(key string) {
	if old, ok := c.recs[key]; ok {
		delete(c.recs, key)
		c.bytes -= old.size()
		c.sums.recs -= uint64(old.sum)
	}
}

func (c *contents) putNote(name string, n note) {
	c.removeNote(name)
	c.notes[name] = n
	c.sums.notes += uint64(n.sum)
}

func (c *contents) removeNote(name string) {
	if old, ok := c.notes[name]; ok {
		delete(c.notes, name)
		c.sums.notes -= uint64(old.sum)
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers the key as well: a record under another key is damage.
func checksum(key string, rest ...[]byte) uint32 {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 64), uint32(len(key))) //#nosec G115 -- no key has 4 GiB
	sum := crc32.Checksum(append(b, key...), castagnoli)
	for _, r := range rest {
		sum = crc32.Update(sum, castagnoli, r)
	}
	return sum
}

var (
	errChecksum = errors.New("its checksum is wrong")
	errShort    = errors.New("it is cut short")
	errUnknown  = errors.New("it says what this format does not have")
)

// unsealed returns what follows the checksum in b.
func unsealed(key string, b []byte) (rest []byte, sum uint32, err error) {
	if len(b) < 4 {
		return nil, 0, errShort
	}
	sum = binary.LittleEndian.Uint32(b)
	if sum != checksum(key, b[4:]) {
		return nil, 0, errChecksum
	}
	return b[4:], sum, nil
}

// A record is its checksum, Seq, Since, Owed, Remove, flags and the value.
const recordHead = 4 + 4*8 + 1

const (
	flagDelete = 1 << iota
	flagIntent
)

// head returns what stands between the checksum and the value.
func (it item) head() []byte {
	r := it.rec
	b := make([]byte, 0, recordHead-4)
	b = binary.LittleEndian.AppendUint64(b, r.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(nanos(r.Since))) //#nosec G115 -- the same bits
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Owed))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Remove))
	var flags byte
	if r.Delete {
		flags |= flagDelete
	}
	if r.Intent {
		flags |= flagIntent
	}
	return append(b, flags)
}

// nanos is a time as it is in the file; 0 is the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// sinceNanos returns the time that nanos made n of.
func sinceNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// sealed returns it with its checksum.
func (it item) sealed() item {
	it.sum = checksum(it.rec.Key, it.head(), it.rec.Value)
	return it
}

// encode returns it, which is sealed, as it is in the file.
func (it item) encode() []byte {
	b := make([]byte, 0, recordHead+len(it.rec.Value))
	b = binary.LittleEndian.AppendUint32(b, it.sum)
	return append(append(b, it.head()...), it.rec.Value...)
}

// decodeItem returns the record that b is; its value is a copy.
func decodeItem(key, b []byte) (item, error) {
	b, sum, err := unsealed(string(key), b)
	if err != nil {
		return item{}, err
	}
	if len(b) < recordHead-4 {
		return item{}, errShort
	}
	flags := b[32]
	if flags&^(flagDelete|flagIntent) != 0 {
		return item{}, errUnknown
	}
	it := item{
		rec: failover.Record{
			Key:    string(key),
			Seq:    binary.LittleEndian.Uint64(b),
			Owed:   failover.Members(binary.LittleEndian.Uint64(b[16:])),
			Remove: failover.Members(binary.LittleEndian.Uint64(b[24:])),
			Delete: flags&flagDelete != 0,
			Intent: flags&flagIntent != 0,
			Since:  sinceNanos(int64(binary.LittleEndian.Uint64(b[8:]))), //#nosec G115 -- the same bits
		},
		sum: sum,
	}
	if !it.rec.Delete && it.rec.Owed != 0 {
		it.rec.Value = append([]byte{}, b[33:]...)
	}
	return it, nil
}

func newNote(name string, fact []byte) note { return note{fact: fact, sum: checksum(name, fact)} }

func (n note) encode() []byte {
	return append(binary.LittleEndian.AppendUint32(nil, n.sum), n.fact...)
}

func decodeNote(name, b []byte) (note, error) {
	fact, sum, err := unsealed(string(name), b)
	return note{fact: append([]byte{}, fact...), sum: sum}, err
}

// head is what the file says of itself.
type head struct {
	clean       bool
	recs, notes uint64 // how many there are
	sums        sums
	names       []string
}

func (c *contents) head() head {
	return head{clean: c.clean, recs: uint64(len(c.recs)), notes: uint64(len(c.notes)), sums: c.sums, names: c.names}
}

func (h head) encode() []byte {
	b := make([]byte, 4)
	b = binary.LittleEndian.AppendUint16(b, format)
	if h.clean {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, n := range []uint64{h.recs, h.notes, h.sums.recs, h.sums.notes, uint64(len(h.names))} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	for _, name := range h.names {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(name))) //#nosec G115 -- no name has 4 GiB
		b = append(b, name...)
	}
	binary.LittleEndian.PutUint32(b, checksum(string(headKey), b[4:]))
	return b
}

func decodeHead(b []byte) (h head, err error) {
	if b, _, err = unsealed(string(headKey), b); err != nil {
		return head{}, err
	}
	if len(b) < 3+5*8 {
		return head{}, errShort
	}
	if v := binary.LittleEndian.Uint16(b); v != format {
		return head{}, fmt.Errorf("%w: its format is %d, this version reads %d", errVersion, v, format)
	}
	h.clean = b[2] == 1
	b = b[3:]
	var names uint64
	for _, n := range []*uint64{&h.recs, &h.notes, &h.sums.recs, &h.sums.notes, &names} {
		*n = binary.LittleEndian.Uint64(b)
		b = b[8:]
	}
	for range names {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.LittleEndian.Uint32(b)) { //#nosec G115 -- b has 4 bytes at least
			return head{}, errShort
		}
		n := 4 + binary.LittleEndian.Uint32(b)
		h.names = append(h.names, string(b[4:n]))
		b = b[n:]
	}
	return h, nil
}
