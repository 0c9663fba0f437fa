package boltjournal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// sectorSize is the piece that a disk writes whole or not at all: the smallest
// one in use.
const sectorSize = 512

// disk is a folder on a disk that may lose its power. What was synced stays.
// Of the rest every sector of every write may be there or not, whatever its
// age; a file may have any of its lengths since its last sync; and of what
// happened to names, any number from the oldest on has happened.
type disk struct {
	safe  map[string]*inode // what names lead to for certain
	now   map[string]*inode // what a process sees
	loose []*naming         // oldest first
}

// naming is a change of names: from is gone, and to leads to file; "" is none.
type naming struct {
	from, to string
	file     *inode
	done     bool // the call that made it has ended
}

// inode is a file, whatever its names.
type inode struct {
	safe  []byte   // what is there for certain
	now   []byte   // what a process sees
	loose []*patch // oldest first
}

// patch is what one call has changed: whole sectors, as they are after it.
type patch struct {
	size    int // of the file
	first   int // number of the first sector
	sectors [][]byte
	done    bool // the call that made it has ended
}

func newDisk() *disk { return &disk{safe: map[string]*inode{}, now: map[string]*inode{}} }

// rename changes names.
func (d *disk) rename(n *naming) *naming {
	d.loose = append(d.loose, n)
	n.apply(d.now)
	return n
}

func (n *naming) apply(names map[string]*inode) {
	delete(names, n.from)
	if n.to != "" {
		names[n.to] = n.file
	}
}

// done returns how many changes of names a sync of the folder makes safe that
// begins now.
func (d *disk) done() int {
	if n := slices.IndexFunc(d.loose, func(n *naming) bool { return !n.done }); n >= 0 {
		return n
	}
	return len(d.loose)
}

// synced makes the n oldest changes of names safe.
func (d *disk) synced(n int) {
	for _, change := range d.loose[:n] {
		change.apply(d.safe)
	}
	d.loose = d.loose[n:]
}

// write writes b at an offset. Without any bytes it makes the file that long,
// unless it is longer.
func (f *inode) write(b []byte, at int) *patch {
	end := at + len(b)
	f.now = longer(f.now, end)
	copy(f.now[at:], b)
	p := &patch{size: len(f.now), first: at / sectorSize}
	for s := p.first * sectorSize; s < end && len(b) > 0; s += sectorSize {
		p.sectors = append(p.sectors, slices.Clone(f.now[s:min(len(f.now), s+sectorSize)]))
	}
	f.loose = append(f.loose, p)
	return p
}

// longer returns b with zeros up to a length.
func longer(b []byte, length int) []byte {
	return append(b, make([]byte, max(0, length-len(b)))...)
}

// apply makes those sectors of p part of b that survive. b is long enough.
func (p *patch) apply(b []byte, survives func() bool) {
	for i, sector := range p.sectors {
		if survives() {
			copy(b[(p.first+i)*sectorSize:], sector)
		}
	}
}

// done returns the patches that a sync makes safe that begins now.
func (f *inode) done() []*patch {
	return slices.DeleteFunc(slices.Clone(f.loose), func(p *patch) bool { return !p.done })
}

// synced makes patches safe.
func (f *inode) synced(patches []*patch) {
	for _, p := range patches {
		f.safe = longer(f.safe, p.size)
		p.apply(f.safe, always)
	}
	f.loose = slices.DeleteFunc(f.loose, func(p *patch) bool { return slices.Contains(patches, p) })
}

// luck decides what survives of what is not synced.
type luck struct {
	names  func(n int) int // how many of n changes of names
	length func(n int) int // which of n lengths
	sector func() bool
}

func noneOf(int) int   { return 0 }
func allOf(n int) int  { return n }
func lastOf(n int) int { return n - 1 }
func always() bool     { return true }
func never() bool      { return false }

// extremes are the lucks without chance.
var extremes = []luck{
	{noneOf, noneOf, never}, {noneOf, lastOf, never}, {noneOf, lastOf, always},
	{allOf, noneOf, never}, {allOf, lastOf, never}, {allOf, lastOf, always},
}

// chance is a luck by which a sector survives with probability p.
func chance(rng *rand.Rand, p float64) luck {
	return luck{
		names:  func(n int) int { return rng.IntN(n + 1) },
		length: rng.IntN,
		sector: func() bool { return rng.Float64() < p },
	}
}

// crash returns the files that are there after the power fails now.
func (d *disk) crash(l luck) map[string][]byte {
	names := maps.Clone(d.safe)
	for _, n := range d.loose[:l.names(len(d.loose))] {
		n.apply(names)
	}
	files := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		files[name] = names[name].crash(l)
	}
	return files
}

func (f *inode) crash(l luck) []byte {
	lengths := []int{len(f.safe)}
	b := slices.Clone(f.safe)
	for _, p := range f.loose {
		lengths = append(lengths, p.size)
		b = longer(b, p.size)
		p.apply(b, l.sector)
	}
	return b[:lengths[l.length(len(lengths))]]
}

// shown returns one character for each sector of b, which must not be mixed.
func shown(t *testing.T, b []byte) (text string) {
	t.Helper()
	for sector := range slices.Chunk(b, sectorSize) {
		require.Equal(t, slices.Repeat(sector[:1], sectorSize), sector, "half a sector")
		text += string(max(sector[0], '0'))
	}
	return text
}

func sectors(text string) (b []byte) {
	for _, c := range []byte(text) {
		b = append(b, slices.Repeat([]byte{c}, sectorSize)...)
	}
	return b
}

func TestTheDiskKeepsWhatWasSyncedAndAnySectorsOfTheRest(t *testing.T) {
	f := &inode{}
	f.write(sectors("aa"), 0).done = true
	f.synced(f.done())
	f.write(sectors("bb"), sectorSize).done = true
	late := f.write(sectors("c"), 0) // has not ended when the sync begins
	sync := f.done()
	late.done = true
	f.write(sectors("d"), 3*sectorSize).done = true
	f.synced(sync)

	seen := map[string]bool{}
	rng := rand.New(rand.NewPCG(1, 1))
	d := newDisk()
	d.safe["f"] = f
	for range 1000 {
		seen[shown(t, d.crash(chance(rng, 0.5))["f"])] = true
	}
	require.Equal(t, []string{"abb", "abb0", "abbd", "cbb", "cbb0", "cbbd"}, slices.Sorted(maps.Keys(seen)))
	for i, want := range []string{"abb", "abb0", "cbbd", "abb", "abb0", "cbbd"} {
		require.Equal(t, want, shown(t, d.crash(extremes[i])["f"]), i)
	}
	require.Equal(t, "cbbd", shown(t, f.now))
}

func TestTheDiskForgetsTheYoungestChangesOfNamesThatWereNotSynced(t *testing.T) {
	d, a, b := newDisk(), &inode{}, &inode{}
	d.rename(&naming{to: "a", file: a}).done = true
	d.synced(d.done())
	d.rename(&naming{to: "b", file: b}).done = true
	running := d.rename(&naming{from: "b", to: "a", file: b})
	d.rename(&naming{from: "x"}).done = true
	d.synced(d.done()) // covers the first only
	require.False(t, running.done)

	seen := map[string]bool{}
	rng := rand.New(rand.NewPCG(1, 1))
	a.now, a.safe, b.safe = []byte{1}, []byte{1}, []byte{2}
	for range 100 {
		text := ""
		files := d.crash(chance(rng, 0.5))
		for _, name := range slices.Sorted(maps.Keys(files)) {
			text += fmt.Sprint(name, files[name])
		}
		seen[text] = true
	}
	require.Equal(t, []string{"a[1]b[2]", "a[2]"}, slices.Sorted(maps.Keys(seen)))
	require.Equal(t, map[string]*inode{"a": b}, d.now)
}

func TestALongerFileHasZerosUntilTheyAreWritten(t *testing.T) {
	f := &inode{}
	f.write(sectors("a"), 0).done = true
	f.write(nil, 3*sectorSize).done = true
	f.write(nil, 2*sectorSize).done = true // is longer
	require.Equal(t, "a00", shown(t, f.now))
	f.synced(f.done())
	require.Equal(t, "a00", shown(t, f.safe))
	require.Empty(t, f.loose)
}
