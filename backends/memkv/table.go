package memkv

import (
	"math"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// table holds the keys. Stored values are never changed in place, so a value
// that get returned may be read after the lock is gone.
type table interface {
	get(key string) (value []byte, ok bool)
	set(key string, value []byte)
	remove(key string)
	keys() []string // in any order
}

// unbounded is a table that forgets nothing.
type unbounded map[string][]byte

func (u unbounded) get(key string) ([]byte, bool) { v, ok := u[key]; return v, ok }
func (u unbounded) set(key string, value []byte)  { u[key] = value }
func (u unbounded) remove(key string)             { delete(u, key) }

func (u unbounded) keys() []string {
	keys := make([]string, 0, len(u))
	for key := range u {
		keys = append(keys, key)
	}
	return keys
}

// bounded is a table that drops the least recently used keys once there are
// more than max bytes.
type bounded struct {
	lru  *simplelru.LRU[string, []byte]
	max  int64
	used int64 // bytes of all keys and values
}

func newBounded(max int64) (*bounded, error) {
	b := &bounded{max: max}
	lru, err := simplelru.NewLRU(math.MaxInt, func(key string, value []byte) {
		b.used -= size(key, value)
	})
	b.lru = lru
	return b, err
}

func size(key string, value []byte) int64 { return int64(len(key)) + int64(len(value)) }

func (b *bounded) get(key string) ([]byte, bool) { return b.lru.Get(key) }
func (b *bounded) remove(key string)             { b.lru.Remove(key) }
func (b *bounded) keys() []string                { return b.lru.Keys() }

// set makes key the most recently used one, which therefore stays.
func (b *bounded) set(key string, value []byte) {
	if old, ok := b.lru.Peek(key); ok {
		b.used -= size(key, old)
	}
	b.lru.Add(key, value)
	b.used += size(key, value)
	for b.used > b.max {
		b.lru.RemoveOldest()
	}
}
