package resilient

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestS5_CheckKeyTakesTheKeyDomainAndNothingElse(t *testing.T) {
	for _, key := range []string{
		"a", "user:42", "a/../b", "a//b", "%", "é", "e\u0301", "a ", " ", "~", "12345678", "123456789",
		"日本語", "😀", "\ufffd", strings.Repeat("k", 512), strings.Repeat("é", 256), "\u00a0",
	} {
		require.NoError(t, CheckKey(key), "%q", key)
	}
	for _, key := range []string{
		"\x00", "a\nb", "a\tb", "\x7f", "1234567\x7f", "12345678\x1f", "\x1f2345678", "a\u0085b", "\xff", "abc\xc3", "12345678\xff",
		"\xed\xa0\x80", "1234567\x1f9", "1234\x7f678901",
	} {
		require.ErrorIs(t, CheckKey(key), ErrInvalidKey, "%q", key)
	}
	require.ErrorIs(t, CheckKey(""), ErrEmptyKey)
	require.ErrorIs(t, CheckKey(strings.Repeat("k", 513)), ErrKeyTooLarge)
	require.ErrorIs(t, CheckKey(strings.Repeat("é", 257)), ErrKeyTooLarge)
}

// slowCheckKey says the same as CheckKey, a rune at a time.
func slowCheckKey(key string) error {
	switch {
	case key == "":
		return ErrEmptyKey
	case len(key) > 512:
		return ErrKeyTooLarge
	case !utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl):
		return ErrInvalidKey
	}
	return nil
}

func TestCheckKeyAgreesWithTheSlowWay(t *testing.T) {
	for length := range 20 { // each byte at each place
		for at := range length {
			for c := range 256 {
				key := []byte(strings.Repeat("k", length))
				key[at] = byte(c)
				require.Equal(t, slowCheckKey(string(key)), CheckKey(string(key)), "%q", key)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.String(), rapid.StringN(500, 520, -1), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "key")
		require.Equal(t, slowCheckKey(key), CheckKey(key))
	})
}

func FuzzCheckKey(f *testing.F) {
	f.Fuzz(func(t *testing.T, key string) { require.Equal(t, slowCheckKey(key), CheckKey(key)) })
}
