package boltjournal

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/failover"
)

// used returns the file of a journal that has seen some use, closed, and the
// same file one commit earlier.
func used(tb testing.TB, records int) (now, before []byte) {
	tb.Helper()
	j, _ := open(tb, newPath(tb), Config{})
	put := func(from, seq int) {
		recs := make([]failover.Record, records)
		for i := range recs {
			recs[i] = set(fmt.Sprintf("key %04d", (from+i)%records), fmt.Sprint("value ", seq, i), uint64(seq+i))
		}
		require.NoError(tb, j.Put(recs...))
	}
	put(0, 1)
	put(3, 1000)
	require.NoError(tb, j.Note("note", []byte("fact")))
	require.NoError(tb, j.Put(failover.Record{Key: "large", Value: bytes.Repeat([]byte("large "), 2000), Owed: memberB, Remove: memberA, Seq: 5000}))
	require.NoError(tb, j.Forget(failover.Record{Key: "key 0001", Seq: 1 << 40}))
	before, err := os.ReadFile(j.path)
	require.NoError(tb, err)
	require.NoError(tb, j.Put(set("key 0002", "newest", 6000)))
	drop(tb, j)
	now, err = os.ReadFile(j.path)
	require.NoError(tb, err)
	require.Equal(tb, len(now), len(before))
	return now, before
}

func readBytes(b []byte) (*contents, error) { return read(bytes.NewReader(b), int64(len(b))) }

// intactOrAnError wants that b is either refused or read as want. It reports
// whether it was refused.
func intactOrAnError(tb testing.TB, want *contents, b []byte, what string) (refused bool) {
	tb.Helper()
	got, err := readBytes(b)
	if err != nil {
		return true
	}
	same := got.clean == want.clean && slices.Equal(got.names, want.names) &&
		maps.EqualFunc(got.recs, want.recs, sameItem) &&
		maps.EqualFunc(got.notes, want.notes, func(a, b note) bool { return bytes.Equal(a.fact, b.fact) })
	require.True(tb, same, what)
	return false
}

func sameItem(a, b item) bool {
	r, q := a.rec, b.rec
	return r.Since.Equal(q.Since) && bytes.Equal(r.Value, q.Value) && r.Key == q.Key && r.Delete == q.Delete &&
		r.Owed == q.Owed && r.Remove == q.Remove && r.Intent == q.Intent && r.Seq == q.Seq
}

// seenReader notes which bytes are read.
type seenReader struct {
	*bytes.Reader
	seen []bool
}

func (r *seenReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(b, at)
	for i := range n {
		r.seen[int(at)+i] = true
	}
	return n, err
}

func TestAFlippedByteIsAnErrorOrDoesNoHarm(t *testing.T) {
	// Without and with branch pages; every byte that is read of the smaller file.
	for records, apart := range map[int]int{3: 1, 300: 100} {
		file, _ := used(t, records)
		want, err := readBytes(file)
		require.NoError(t, err)
		require.Len(t, want.recs, records)
		seen := &seenReader{Reader: bytes.NewReader(file), seen: make([]bool, len(file))}
		_, err = read(seen, int64(len(file)))
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(1, uint64(records)))
		flips, refused := 0, 0
		for at := 0; at < len(file); flips++ {
			with := byte(1 + rng.IntN(255))
			file[at] ^= with
			if intactOrAnError(t, want, file, fmt.Sprint("byte ", at)) {
				refused++
			}
			file[at] ^= with
			switch {
			case at%os.Getpagesize() < pageHead+metaSize: // every byte of each page's head
				at++
			case seen.seen[at]:
				at += 1 + rng.IntN(apart)
			default:
				at += 1 + rng.IntN(100)
			}
		}
		require.Greater(t, refused, 2*metaSize, "all of both meta pages, and more")
		t.Logf("%d of %d flips refused, the others were in free or unused space", refused, flips)
	}
}

func TestEveryByteOfBothMetaPagesMatters(t *testing.T) {
	file, _ := used(t, 3)
	for page := range 2 {
		for at := range pageHead + metaSize {
			if at >= 10 && at < pageHead {
				continue // count and overflow, which a meta page does not use
			}
			damaged := bytes.Clone(file)
			damaged[page*os.Getpagesize()+at] ^= 0x55
			_, err := readBytes(damaged)
			require.Error(t, err, "page %d, byte %d: the last commit may be lost", page, at)
		}
	}
}

func TestMetaPagesThatAreNotOfTwoCommitsInARowAreAnError(t *testing.T) {
	file, _ := used(t, 3)
	transaction := func(page int) uint64 { return native.Uint64(file[page*os.Getpagesize()+pageHead+48:]) }
	newer := 0
	if transaction(1) > transaction(0) {
		newer = 1
	}
	for page, id := range map[int]uint64{newer: transaction(newer) + 2, 1 - newer: transaction(1-newer) - 2} {
		b := bytes.Clone(file)
		m := b[page*os.Getpagesize()+pageHead:][:metaSize]
		native.PutUint64(m[48:], id)
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		native.PutUint64(m[metaSize-8:], sum.Sum64())
		_, err := readBytes(b)
		require.ErrorContains(t, err, "contradict")
	}
}

func TestSeveralDamagesAreAnErrorOrDoNoHarm(t *testing.T) {
	file, _ := used(t, 300)
	want, err := readBytes(file)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(2, 2))
	for range 1000 {
		b := bytes.Clone(file)
		for range 1 + rng.IntN(8) {
			at := rng.IntN(len(b))
			switch rng.IntN(3) {
			case 0:
				b[at] = byte(rng.Uint32())
			case 1:
				clear(b[at:min(len(b), at+512)])
			default:
				copy(b[at:min(len(b), at+8)], b[rng.IntN(len(b)):])
			}
		}
		intactOrAnError(t, want, b, "")
	}
}

// A disk that has lost all of the last commit cannot be told from a process
// that died before it: what is left is whole.
func TestAPageOfAnEarlierCommitIsAnError(t *testing.T) {
	now, before := used(t, 300)
	want, err := readBytes(now)
	require.NoError(t, err)
	size := os.Getpagesize()
	stale := 0
	for at := 2 * size; at < len(now); at += size {
		if bytes.Equal(now[at:at+size], before[at:at+size]) {
			continue
		}
		b := bytes.Clone(now)
		copy(b[at:at+size], before[at:])
		if intactOrAnError(t, want, b, fmt.Sprint("page ", at/size)) {
			stale++
		}
	}
	require.GreaterOrEqual(t, stale, 2, "the root's page and one of records; the list of free pages is not read")
}

func TestAFileCutShortIsAnError(t *testing.T) {
	file, _ := used(t, 300)
	p, err := openPages(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	for n := int64(0); n < int64(p.end)*p.size; n += 509 {
		_, err := readBytes(file[:n])
		require.Error(t, err, n)
	}
}

func TestRecordsThatAreGoodByThemselvesButNotTogetherAreAnError(t *testing.T) {
	one := item{rec: set("k", "v", 1)}.sealed()
	for name, change := range map[string]func(c *contents){
		"missing":  func(c *contents) { c.remove("k") },
		"one more": func(c *contents) { c.put(item{rec: set("l", "v", 1)}.sealed()) },
		"other":    func(c *contents) { c.put(item{rec: set("k", "w", 1)}.sealed()) },
		"note":     func(c *contents) { c.removeNote("n") },
		"bit":      func(c *contents) { c.names = c.names[:0] },
	} {
		c := newContents(names)
		c.put(one)
		c.putNote("n", newNote("n", []byte("fact")))
		good := c.head()
		change(c)
		f, err := os.OpenFile(newPath(t), os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		made, err := makeFile(f, c, Config{})
		require.NoError(t, err)
		if name != "bit" {
			_, err = readFile(f)
			require.NoError(t, err, "%s: with its own head it is good", name)
			require.NoError(t, made.update(func(tx *bbolt.Tx) error { return tx.Bucket(headBucket).Put(headKey, good.encode()) }))
		}
		_, err = readFile(f)
		require.ErrorIs(t, err, ErrDamaged, name)
		require.NoError(t, made.close())
	}
}

func TestPagesThatLeadInCirclesAreAnErrorAtOnce(t *testing.T) {
	file, _ := used(t, 300)
	size := os.Getpagesize()
	circles := 0
	for at := 2 * size; at < len(file); at += size {
		if native.Uint16(file[at+8:]) != branchPage {
			continue
		}
		b := bytes.Clone(file)
		for i := range int(native.Uint16(b[at+10:])) { // all its children are itself
			native.PutUint64(b[at+pageHead+i*elementSize+8:], uint64(at/size))
		}
		if _, err := readBytes(b); err != nil {
			require.ErrorContains(t, err, "two places lead to it")
			circles++
		}
	}
	require.NotZero(t, circles)
}

func TestARecordThatSaysWhatThisFormatDoesNotHaveIsAnError(t *testing.T) {
	b := item{rec: set("k", "v", 1)}.sealed().encode()
	_, err := decodeItem([]byte("k"), b)
	require.NoError(t, err)
	b[recordHead-1] |= 1 << 7
	_, err = decodeItem([]byte("k"), sealedAgain([]byte("k"), b))
	require.ErrorIs(t, err, errUnknown)
}

func TestADamagedJournalIsNamedAndKept(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "VALUE", 1)))
	require.NoError(t, j.Close(true))
	damage(t, j.path, "VALUE", 'x')
	before, err := os.ReadFile(j.path)
	require.NoError(t, err)
	_, err = Open(j.path, Config{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, j.path)
	require.Equal(t, []string{"journal.db"}, filesIn(t, j.path))
	after, err := os.ReadFile(j.path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
