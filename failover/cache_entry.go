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
//	    17      8  generation of the key's stripe
//	    25      4  CRC-32C of the key, the bytes before and the value
//	    29         value
//
// Numbers are big-endian. Whatever does not fit that is no entry.
const (
	cacheFormat = 1
	cacheSum    = 25
	cacheHeader = 29
)

var cacheTable = crc32.MakeTable(crc32.Castagnoli)

// cacheEntry is what an envelope says.
type cacheEntry struct {
	storedAt  int64
	life, gen uint64
	value     []byte
}

// envelope returns e with a copy of its value, not yet sealed.
func (e cacheEntry) envelope() []byte {
	raw := make([]byte, cacheHeader+len(e.value))
	raw[0] = cacheFormat
	binary.BigEndian.PutUint64(raw[1:], uint64(e.storedAt))
	binary.BigEndian.PutUint64(raw[9:], e.life)
	setGeneration(raw, e.gen)
	copy(raw[cacheHeader:], e.value)
	return raw
}

func setGeneration(raw []byte, gen uint64) { binary.BigEndian.PutUint64(raw[17:], gen) }

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
		storedAt: int64(binary.BigEndian.Uint64(raw[1:])),
		life:     binary.BigEndian.Uint64(raw[9:]),
		gen:      binary.BigEndian.Uint64(raw[17:]),
		value:    raw[cacheHeader:],
	}, true
}

func sumEnvelope(key string, raw []byte) uint32 {
	sum := crc32.Update(0, cacheTable, []byte(key))
	sum = crc32.Update(sum, cacheTable, raw[:cacheSum])
	return crc32.Update(sum, cacheTable, raw[cacheHeader:])
}
