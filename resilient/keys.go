package resilient

import (
	"unicode"
	"unicode/utf8"
)

// maxKey is the contract's longest key, in bytes.
const maxKey = 512

// CheckKey returns nil if key is in the contract's key domain, 1 to 512 bytes
// of valid UTF-8 without control characters, and else ErrEmptyKey,
// ErrKeyTooLarge or ErrInvalidKey. It does not allocate.
func CheckKey(key string) error {
	if key == "" {
		return ErrEmptyKey
	}
	if len(key) > maxKey {
		return ErrKeyTooLarge
	}
	if len(key) < 8 {
		return checkRunes(key)
	}
	odd := unusual(key[len(key)-8:])
	for rest := key; len(rest) > 8; rest = rest[8:] { // the last eight are done, and some of them twice
		odd |= unusual(rest)
	}
	if odd&topBits != 0 {
		return checkRunes(key)
	}
	return nil
}

// The same byte, or bit, eight times.
const (
	ones    = 0x0101010101010101
	topBits = 0x80 * ones
)

// unusual returns a word without topBits if the first eight bytes of s are all
// printable ASCII. It looks at them as one word: the top bit of a byte is set by
// a byte that is not ASCII, by one below 0x20 after 0x20 was taken from it, and
// by 0x7f after 1 was added. A borrow or carry between bytes can only come from
// a byte that is refused anyway.
func unusual(s string) uint64 {
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	return w | (w - 0x20*ones) | (w + ones)
}

// checkRunes is the rest of CheckKey for keys that are short or not plain
// ASCII.
func checkRunes(s string) error {
	for i, r := range s {
		if r >= ' ' && r < 0x7f {
			continue
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size <= 1 {
				return ErrInvalidKey
			}
		}
		if unicode.IsControl(r) {
			return ErrInvalidKey
		}
	}
	return nil
}
