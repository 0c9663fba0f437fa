package guard

import (
	"iter"
	"maps"
	"slices"
)

// Entry is one key of a batch and its value.
type Entry struct {
	Key   string
	Value []byte
}

// Chunks cuts a batch into parts of at most count entries and about size
// bytes, in ascending order of the keys: two batches that a server locks key
// by key then meet in the same order.
func Chunks(kv map[string][]byte, count, size int) iter.Seq[[]Entry] {
	return func(yield func([]Entry) bool) {
		var chunk []Entry
		bytes := 0
		for _, key := range slices.Sorted(maps.Keys(kv)) {
			more := len(key) + len(kv[key])
			if len(chunk) > 0 && (len(chunk) == count || bytes+more > size) {
				if !yield(chunk) {
					return
				}
				chunk, bytes = nil, 0
			}
			chunk, bytes = append(chunk, Entry{key, kv[key]}), bytes+more
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

// KeyChunks cuts keys into parts of at most count, in ascending order and each
// key once. It leaves keys as they are.
func KeyChunks(keys []string, count int) iter.Seq[[]string] {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Chunk(slices.Compact(keys), count)
}

// PrefixEnd returns the least string that comes after every string with
// prefix, in the order of bytes; ok is false if there is none.
func PrefixEnd(prefix string) (end string, ok bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1]), true
		}
	}
	return "", false
}
