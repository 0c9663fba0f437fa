package failover

import (
	"encoding/binary"
	"hash/crc32"
)

// An entry of the cache is an envelope around the value:
//
//	offset  bytes
//	     0      1  format
//	     1      8  stored at: a time before the store was asked, in ns since 1970
//	     9      8  life of the Cached that made it
//	    17      8  stored at, in ns of that life
//	    25      8  generation of the key's stripe
//	    33      4  CRC-32C of the key, the bytes before and the value
//	    37         value
//
// Numbers are big-endian. Whatever does not fit that is no entry.
const (
	cacheFormat = 1
	cacheSum    = 33
	cacheHeader = 37
)

var cacheTable = crc32.MakeTable(crc32.Castagnoli)

// cacheEntry is what an envelope says.
type cacheEntry struct {
	storedAt int64  // of the clock on the wall, which can be set
	life     uint64 // without meaning for others:
	lifetime int64  // of the clock that runs on, but may stop while the machine sleeps
	gen      uint64
	value    []byte
}

// envelope returns e with a copy of its value, not yet sealed.
func (e cacheEntry) envelope() []byte {
	raw := make([]byte, cacheHeader+len(e.value))
	raw[0] = cacheFormat
	binary.BigEndian.PutUint64(raw[1:], uint64(e.storedAt)) //#nosec G115 -- the same bits
	binary.BigEndian.PutUint64(raw[9:], e.life)
	binary.BigEndian.PutUint64(raw[17:], uint64(e.lifetime)) //#nosec G115 -- the same bits
	setGeneration(raw, e.gen)
	copy(raw[cacheHeader:], e.value)
	return raw
}

func setGeneration(raw []byte, gen uint64) { binary.BigEndian.PutUint64(raw[25:], gen) }

// sealEnvelope completes an envelope with its sum.
func sealEnvelope(key string, raw []byte) {
	binary.BigEndian.PutUint32(raw[cacheSum:], sumEnvelope(key, raw))
}

// openEnvelope returns what raw says, which shares its memory; ok is false if
// it is no entry of key.
func openEnvelope(key string, raw []byte) (e cacheEntry, ok bool) {
	if len(raw) < cacheHeader || raw[0] != cacheFormat || binary.BigEndian.Uint32(raw[cacheSum:]) != sumEnvelope(key, raw) {
		return cacheEntry{}, false
	}
	return cacheEntry{
		storedAt: int64(binary.BigEndian.Uint64(raw[1:])), //#nosec G115 -- the same bits
		life:     binary.BigEndian.Uint64(raw[9:]),
		lifetime: int64(binary.BigEndian.Uint64(raw[17:])), //#nosec G115 -- the same bits
		gen:      binary.BigEndian.Uint64(raw[25:]),
		value:    raw[cacheHeader:],
	}, true
}

func sumEnvelope(key string, raw []byte) uint32 {
	sum := crc32.Update(0, cacheTable, []byte(key))
	sum = crc32.Update(sum, cacheTable, raw[:cacheSum])
	return crc32.Update(sum, cacheTable, raw[cacheHeader:])
}
