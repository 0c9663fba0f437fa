package mongokv

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestS3_TheRangeOfAPrefixHoldsEveryKeyWithIt(t *testing.T) {
	// Characters at the ends of what UTF-8 encodes with one length, and around
	// those that are no characters.
	runes := rapid.SampledFrom([]rune{' ', 'a', '~', 0x7f, 0x80, 'é', 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10fffe, utf8.MaxRune})
	text := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(runes, 0, 4).Draw(t, "runes")) })
	rapid.Check(t, func(t *rapid.T) {
		key := text.Draw(t, "key")
		prefix := text.Draw(t, "prefix")
		if rapid.Bool().Draw(t, "own") {
			prefix = key[:rapid.IntRange(0, len(key)).Draw(t, "cut")]
		}
		condition, ok := keysWith(prefix)
		if !ok {
			require.False(t, strings.HasPrefix(key, prefix))
			return
		}
		inside := true
		for _, bound := range condition {
			value := bound.Value.(string)
			require.True(t, utf8.ValidString(value), "BSON would change it")
			inside = inside && (bound.Key == "$gte" && key >= value || bound.Key == "$lt" && key < value)
		}
		if strings.HasPrefix(key, prefix) {
			require.True(t, inside, "%q is outside the range of %q", key, prefix)
		} else if utf8.ValidString(prefix) {
			require.False(t, inside, "%q is in the range of %q", key, prefix)
		}
	})
}

func TestAPrefixThatNoKeyCanHaveIsNotLookedFor(t *testing.T) {
	for _, prefix := range []string{"\xff", "a\xff", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf5", "é\xc3\xc3"} {
		_, ok := keysWith(prefix)
		require.False(t, ok, "%q", prefix)
	}
	for _, prefix := range []string{"", "a", "\xc3", "\xe6\x97", "\xf0\x9f\x94", "\ufffd"} {
		_, ok := keysWith(prefix)
		require.True(t, ok, "%q", prefix)
	}
}

func TestTheEndOfARangeIsTheNextCharacter(t *testing.T) {
	for prefix, want := range map[string]string{
		"a": "b", "é": "ê", "\x7f": "\u0080", "\u07ff": "\u0800", "\ud7fe": "\ud7ff", "\ud7ff": "\ue000", "\uffff": "\U00010000", "a\U0010ffff": "b",
	} {
		end, ok := after(prefix)
		require.True(t, ok)
		require.Equal(t, want, end, "%q", prefix)
	}
	for _, prefix := range []string{"", "\U0010ffff", "\U0010ffff\U0010ffff"} {
		_, ok := after(prefix)
		require.False(t, ok)
	}
}
