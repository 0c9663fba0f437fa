package boltjournal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The structure of a bbolt file, version 2: see internal/common in bbolt.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04

	pageHead    = 16
	elementSize = 16
	bucketHead  = 16
	metaSize    = 64

	bucketFlag = 0x01 // of a leaf's element whose value is a bucket

	maxDepth = 64 // a tree of bbolt with that many levels does not fit any disk
)

var native = binary.NativeEndian // bbolt writes what is in memory

// errNotBolt says that a file does not begin like one of bbolt.
var errNotBolt = errors.New("it is no bbolt file")

// pages reads a bbolt file that nobody writes to. bbolt's own reader trusts
// its file: a damaged page number sends it off its mapping or round in circles
// until the memory is full, and where one of the two meta pages is damaged it
// takes the other, which is that of the last commit but one. This one reports
// every damage that it meets.
type pages struct {
	r    io.ReaderAt
	size int64 // of a page
	end  uint64
	root uint64
	seen []uint64 // bit set: the page has been read
}

// openPages reads the two meta pages of a file of the given length. Both must
// be good.
func openPages(r io.ReaderAt, length int64) (*pages, error) {
	first, err := readMeta(r, 0, 0)
	if err != nil {
		return nil, err
	}
	second, err := readMeta(r, 1, int64(first.pageSize))
	if err != nil {
		return nil, err
	}
	m, other := first, second
	if second.txid > first.txid {
		m, other = second, first
	}
	switch {
	case first.pageSize != second.pageSize, m.txid-other.txid != 1:
		return nil, errors.New("its meta pages contradict each other")
	case m.end > uint64(length)/uint64(m.pageSize): //#nosec G115 -- a length is not negative
		return nil, errShort
	}
	return &pages{r: r, size: int64(m.pageSize), end: m.end, root: m.root, seen: make([]uint64, m.end/64+1)}, nil
}

type meta struct {
	pageSize        uint32
	root, end, txid uint64
}

func readMeta(r io.ReaderAt, id uint64, at int64) (meta, error) {
	var b [pageHead + metaSize]byte
	if _, err := r.ReadAt(b[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			return meta{}, errNotBolt
		}
		return meta{}, err
	}
	m := b[pageHead:]
	if native.Uint32(m) != boltMagic {
		return meta{}, errNotBolt
	}
	sum := fnv.New64a()
	_, _ = sum.Write(m[:metaSize-8])
	switch {
	case native.Uint64(m[metaSize-8:]) != sum.Sum64(), native.Uint64(b[:]) != id, native.Uint16(b[8:]) != metaPage:
		return meta{}, fmt.Errorf("meta page %d is damaged", id)
	case native.Uint32(m[4:]) != boltVersion:
		return meta{}, fmt.Errorf("%w: its bbolt format is %d, this version reads %d", errVersion, native.Uint32(m[4:]), boltVersion)
	}
	// magic, version, pageSize, flags, root bucket (page, sequence), freelist,
	// end, txid, checksum.
	found := meta{pageSize: native.Uint32(m[8:]), root: native.Uint64(m[16:]), end: native.Uint64(m[40:]), txid: native.Uint64(m[48:])}
	if found.pageSize < pageHead+metaSize || found.pageSize > 1<<24 {
		return meta{}, fmt.Errorf("meta page %d is damaged", id)
	}
	return found, nil
}

// element is an entry of a leaf; key and value are valid during the visit.
type element struct {
	key, value []byte
	bucket     bool
}

// walk visits the elements of the bucket whose root page is id.
func (p *pages) walk(id uint64, depth int, visit func(element) error) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d: the tree is too deep", id)
	}
	b, err := p.read(id)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	switch native.Uint16(b[8:]) {
	case leafPage:
		err = leaf(b, visit)
	case branchPage:
		err = branch(b, func(child uint64) error { return p.walk(child, depth+1, visit) })
	default:
		err = errors.New("its kind is wrong")
	}
	if err != nil && depth == 0 {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return err
}

// bucket visits the elements of the bucket that v, an element's value, is.
func (p *pages) bucket(v []byte, visit func(element) error) error {
	if len(v) < bucketHead {
		return errShort
	}
	if root := native.Uint64(v); root != 0 {
		return p.walk(root, 0, visit)
	}
	inline := v[bucketHead:]
	if len(inline) < pageHead || native.Uint16(inline[8:]) != leafPage {
		return errors.New("an inline bucket is damaged")
	}
	return leaf(inline, visit)
}

// read returns page id with what it overflows to. Each page is read once at
// most, so that no damage makes the walk endless.
func (p *pages) read(id uint64) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, errors.New("there is no such page")
	}
	var h [pageHead]byte
	at := int64(id) * p.size //#nosec G115 -- below p.end, so within the file
	if _, err := p.r.ReadAt(h[:], at); err != nil {
		return nil, err
	}
	last := id + uint64(native.Uint32(h[12:]))
	if native.Uint64(h[:]) != id || last >= p.end {
		return nil, errors.New("its header is damaged")
	}
	for i := id; i <= last; i++ {
		if p.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, errors.New("two places lead to it")
		}
		p.seen[i/64] |= 1 << (i % 64)
	}
	b := make([]byte, int64(last-id+1)*p.size) //#nosec G115 -- below p.end, so within the file
	if _, err := p.r.ReadAt(b, at); err != nil {
		return nil, err
	}
	return b, nil
}

// leaf visits the elements of a leaf page.
func leaf(b []byte, visit func(element) error) error {
	return elements(b, func(at int, e []byte) error {
		// flags, pos, ksize, vsize
		start := uint64(at) + uint64(native.Uint32(e[4:])) //#nosec G115 -- a place in b
		middle := start + uint64(native.Uint32(e[8:]))
		end := middle + uint64(native.Uint32(e[12:]))
		if end > uint64(len(b)) {
			return errors.New("an element is damaged")
		}
		return visit(element{key: b[start:middle], value: b[middle:end], bucket: native.Uint32(e)&bucketFlag != 0})
	})
}

// branch visits the children of a branch page.
func branch(b []byte, visit func(child uint64) error) error {
	return elements(b, func(_ int, e []byte) error { return visit(native.Uint64(e[8:])) }) // pos, ksize, page
}

func elements(b []byte, visit func(at int, e []byte) error) error {
	n := int(native.Uint16(b[10:]))
	if pageHead+n*elementSize > len(b) {
		return errors.New("its header is damaged")
	}
	for i := range n {
		at := pageHead + i*elementSize
		if err := visit(at, b[at:at+elementSize]); err != nil {
			return err
		}
	}
	return nil
}
