package consulkv

import (
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
)

// escape begins the escape of a byte: two lower-case hexadecimal digits follow.
// It is not '%': Consul undoes that once more than it should when it looks for
// dots and spaces in a key. It needs no escape in a URL.
const escape = '~'

const hexDigits = "0123456789abcdef"

// keyspace is the folder that holds the keys; it ends in a slash.
type keyspace string

// stored returns the key under which Consul keeps key. That of a prefix is a
// prefix of those of all keys with this prefix, and of no other: what becomes of
// a byte depends on nothing after it.
//
// A stored key has letters, digits and -_.,:@=/~ only, no empty segment, and none
// that begins with a dot: neither a URL nor anything that cleans paths changes it.
func (s keyspace) stored(key string) string {
	begins := true // a segment
	for i := range len(key) {
		if !plain(key[i], begins) {
			return s.escaped(key)
		}
		begins = key[i] == '/'
	}
	return string(s) + key
}

func (s keyspace) escaped(key string) string {
	var b strings.Builder
	b.Grow(len(s) + 3*len(key))
	b.WriteString(string(s))
	begins := true
	for i := range len(key) {
		c := key[i]
		if plain(c, begins) {
			b.WriteByte(c)
		} else {
			b.WriteByte(escape)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&0xf])
		}
		begins = c == '/'
	}
	return b.String()
}

// plain reports whether a byte is stored as it is; begins says that it is the
// first of a segment.
func plain(c byte, begins bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == '/', c == '.':
		return !begins
	}
	return c == '-' || c == '_' || c == ',' || c == ':' || c == '@' || c == '='
}

// original undoes stored. ok is false for what stored returns for no key:
// somebody else, or Health, has put it there.
func (s keyspace) original(stored string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(stored, string(s))
	if !ok {
		return "", false
	}
	b := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		if c == escape {
			if i+2 >= len(rest) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, rest[i+1]), strings.IndexByte(hexDigits, rest[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c, i = byte(high<<4|low), i+2 //#nosec G115 -- two hexadecimal digits are a byte
		}
		b = append(b, c)
	}
	key = string(b)
	return key, resilient.CheckKey(key) == nil && s.stored(key) == stored
}

// originals returns the keys of those of the stored ones that are of keys, in
// ascending order.
func (s keyspace) originals(stored []string) []string {
	keys := make([]string, 0, len(stored))
	for _, name := range stored {
		if key, ok := s.original(name); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// own returns the key that Health uses. No key is stored there, for 'h' is no
// hexadecimal digit, and a rule for the folder covers it.
func (s keyspace) own() string { return string(s) + "~health" }
