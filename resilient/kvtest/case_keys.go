package kvtest

import (
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

// distinct are keys of the contract's domain that some store or other takes for
// one another, for a path, for a pattern or for its own.
var distinct = []struct {
	name string
	keys []string
}{
	{"Unicode", []string{"ключ/日本語", "ключ", "日本", "ÿ", "\u00a0", "\ufeff", "\ufffd", "\U0010fffd"}},
	{"Emoji", []string{"🔑", "👩‍👩‍👧", "👩", "🔑🔑"}},
	{"CaseDistinct", []string{"Foo", "foo", "FOO", "ß", "SS", "ss", "I", "i", "ı", "İ", "Ж", "ж"}},
	{"AccentDistinct", []string{"e", "é", "è", "a", "ä", "ae", "o", "ø"}},
	{"NFCvsNFDDistinct", []string{"caf\u00e9", "cafe\u0301", "cafe", "\u212b", "\u00c5", "A\u030a"}},
	{"TrailingSpaceDistinct", []string{"a", "a ", "a  ", " a", "a\u00a0", "a\u200b", "a.", " ", "  "}},
	{"LeadingSlash", []string{"/x", "x", "//x", "x/", "/", "//"}},
	{"DoubleSlash", []string{"a//b", "a/b", "a///b", "a/b/", "a/b//"}},
	{"DotSegments_NoAlias", []string{"a/../b", "b", "a/./b", "a/b", "./b", ".", "..", "...", "a/..", "a/."}},
	{"ParentEscape_NoAlias", []string{"../x", "x", "../../etc/passwd", "/../x", "..\\x"}},
	{"PercentEncoded_NoDoubleDecode", []string{"a%2Fb", "a%2fb", "a/b", "a%252Fb", "%", "%%", "%zz", "%00", "a%20b", "a b", "a+b"}},
	{"QuestionHash", []string{"a", "a?b=c", "a?b=c#d", "a#d", "?recurse", "a&b", "a;b"}},
	{"Backslash", []string{"\\", "\\\\", "a\\b", "ab", "a\\", "a\\\\", "\\x41", "A", "\\n"}},
	{"Quote_SQLMeta", []string{"'", "''", "\"", "`", "'; DROP TABLE holdfast; --", "/*x*/", "$1", ":a", "@a", "%s", "{}", "${x}"}},
	{"GlobMeta", []string{"a", "ab", "a*", "a?", "a[b]", "a[^b]", "a{b}", "*", "?", "[", "[a", "a_", "a%", "_", "^a", "a$", "a|b", "(a)"}},
	{"ReservedPrefix", []string{"!badger!x", "_id", "$where", "system.x", "__x", "holdfast", "holdfast:x", "_holdfast/x", "~", "-", "--x"}},
}

// outside are keys that every store refuses.
var outside = []struct {
	name string
	keys []string
}{
	{"Newline", []string{"\n", "a\nb", "a\r\nb", "a\n", "\t", "a\tb"}},
	{"NUL", []string{"\x00", "a\x00", "\x00a", "a\x00b"}},
	{"ControlCharacters", []string{"\x01", "\x1f", "\x7f", "a\x1bb", "\u0080", "a\u0085b", "\u009f"}},
	{"InvalidUTF8_ErrInvalidKey_NeverMangled", []string{"\xff\xfe", "a\xff", "\x80", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf5\x80\x80\x80"}},
}

func keyCases(can abilities) []testCase {
	var cases []testCase
	for _, d := range distinct {
		cases = append(cases, testCase{d.name, func(e *env) { e.roundTrips(d.keys) }})
	}
	for _, o := range outside {
		cases = append(cases, testCase{o.name, func(e *env) {
			s := e.open()
			s.set("a", []byte("value"))
			for _, key := range o.keys {
				s.refuses(key, resilient.ErrInvalidKey)
			}
			s.holds("a", []byte("value"))
			require.Equal(e, []string{"a"}, s.list(""))
		}})
	}
	max := can.maxKey()
	return append(cases,
		testCase{"Len1", func(e *env) {
			var keys []string
			for c := byte(' '); c <= '~'; c++ {
				keys = append(keys, string(c))
			}
			e.roundTrips(keys)
		}},
		testCase{"Len255", func(e *env) {
			n := min(255, max)
			e.roundTrips([]string{longKey("k", n), longKey("k", n-1), longKey("l", n)})
		}},
		testCase{"LenMax", func(e *env) {
			keys := []string{longKey("k", max), longKey("k", max-1), longKey("l", max), strings.Repeat("é", max/2)}
			keys = append(keys, keys[0][:max-1]+"x")
			e.roundTrips(slices.Compact(keys))
		}},
		testCase{"LenMax+1_ErrKeyTooLarge", func(e *env) {
			s := e.open()
			s.set("a", []byte("value"))
			s.set(longKey("k", max), []byte("value"))
			for _, key := range []string{longKey("k", max+1), strings.Repeat("é", max/2+1), longKey("k", 10_000)} {
				s.refuses(key, resilient.ErrKeyTooLarge)
			}
			require.Equal(e, []string{"a", longKey("k", max)}, s.list(""))
			s.holds(longKey("k", max), []byte("value"))
		}},
	)
}

// maxKey is the longest key that the store takes, in bytes.
func (a abilities) maxKey() int {
	if a.limits.MaxKey > 0 {
		return min(a.limits.MaxKey, 512)
	}
	return 512
}

// longKey returns prefix filled up to n bytes.
func longKey(prefix string, n int) string {
	return prefix + strings.Repeat("k", n-len(prefix))
}

// roundTrips stores all keys side by side and finds each under its own bytes, by
// every way there is.
func (e *env) roundTrips(keys []string) {
	e.Helper()
	s := e.open()
	var taken []string
	for _, key := range keys {
		if e.mayRefuse(key) && s.wasRefused(key) {
			continue
		}
		taken = append(taken, key)
		s.set(key, []byte("value of "+key))
	}
	slices.Sort(taken)
	require.Equal(e, orNone(taken), s.list(""))
	for _, key := range taken {
		s.holds(key, []byte("value of "+key))
		require.Equal(e, withPrefix(taken, key), s.list(key), "List(%q)", short(key))
	}
	if s.batch != nil {
		got := s.batchGet(taken...)
		require.Len(e, got, len(taken))
		batch := make(map[string][]byte)
		for _, key := range taken {
			require.Equal(e, "value of "+key, string(got[key]))
			batch[key] = []byte("batch " + key)
		}
		s.batchSet(batch)
		require.Equal(e, batch, s.batchGet(taken...))
		require.Equal(e, orNone(taken), s.list(""))
	}
	for len(taken) > 0 { // each goes alone
		gone := taken[len(taken)/2]
		if s.batch != nil && len(taken)%2 == 0 {
			s.batchDel(gone)
		} else {
			s.del(gone)
		}
		s.lacks(gone)
		taken = slices.DeleteFunc(taken, func(key string) bool { return key == gone })
		require.Equal(e, orNone(taken), s.list(""), "after Delete(%q)", short(gone))
	}
}

// wasRefused reports whether the store refuses key; it must then do so in every
// operation. What it does not refuse is gone again afterwards.
func (s *store) wasRefused(key string) bool {
	s.Helper()
	if err := s.kv.SetRaw(s.Context(), key, nil); err == nil {
		s.del(key)
		return false
	}
	s.refuses(key, resilient.ErrInvalidKey)
	return true
}

// refuses checks that every operation on key gives want and has no effect.
func (s *store) refuses(key string, want error) {
	s.Helper()
	before := s.list("")
	for _, o := range s.operations() {
		if o.op == resilient.OpList || o.op == resilient.OpHealth {
			continue
		}
		require.ErrorIs(s, o.run(s.Context(), key, []byte("value")), want, "%s(%q)", o.name, short(key))
	}
	if s.batch != nil {
		err := s.batch.BatchSetRaw(s.Context(), map[string][]byte{"beside1": nil, key: nil, "beside2": nil})
		require.ErrorIs(s, err, want, "BatchSetRaw with %q inside", short(key))
		require.ErrorIs(s, s.batch.BatchDelete(s.Context(), append(slices.Clone(before), key)), want)
		values, err := s.batch.BatchGetRaw(s.Context(), append(slices.Clone(before), key))
		require.ErrorIs(s, err, want, "BatchGetRaw with %q inside", short(key))
		require.Nil(s, values, "BatchGetRaw with %q inside: values beside an error", short(key))
	}
	require.Equal(s, before, s.list(""), "%q was refused and had an effect", short(key))
}

// withPrefix returns those of the sorted keys that start with prefix.
func withPrefix(keys []string, prefix string) []string {
	found := []string{}
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			found = append(found, key)
		}
	}
	return found
}

func orNone(keys []string) []string { return withPrefix(keys, "") }
