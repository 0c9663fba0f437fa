package consulkv

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfastkv/holdfast/resilient"
)

// nasty are keys that a URL, a proxy, a server or a listing might change.
var nasty = []string{
	".", "..", "...", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "../agent/leave", "../../agent/leave", "../txn", "../../../../..",
	"/", "//", "///", "/a", "//a", "a/", "a//", "a//b", "/../a", "/.", "/./", ".a", "a/.b", "..a", "a..", "a/..b",
	" ", " a", "a ", "a b", "  ", "%", "%%", "%2e%2e", "%2e%2e/agent/leave", "%2F", "%252f", "a%20b", "a%", "%zz",
	"?", "a?b", "?recurse", "?keys", "a?raw&dc=x", "#", "a#b", "&", "a&b=c", ";", "a;b", "+", "a+b", "=", ":", "a:b", "@", "a@b", ",", "*",
	"~", "~~", "~2f", "~2F", "~7e", "a~", "a~2", "~health", "~2fhealth", "\\", "..\\a", "a\\b", "\"", "'", "<a>", "[a]", "{a}", "|", "^", "`", "$a",
	"é", "e\u0301", "É", "日本/語", "\u00a0", "\ufeff", "\U0010ffff", "A", "a", "agent", "v1/kv/a", "holdfast", "holdfast/a", "http://a/b",
}

func TestS4_AStoredKeyIsWhatNeitherURLsNorServersChange(t *testing.T) {
	s := keyspace("holdfast/")
	seen := map[string]string{s.own(): "the library's own"}
	for _, key := range nasty {
		stored := s.stored(key)
		require.Empty(t, seen[stored], "%q is stored where another key is", key)
		seen[stored] = key
		survives(t, stored)
		back, ok := s.original(stored)
		require.True(t, ok, "%q", stored)
		require.Equal(t, key, back)
	}
	require.Equal(t, "holdfast/user/42", s.stored("user/42"))
	require.Equal(t, "holdfast/a~20b/~2f~2ec", s.stored("a b//.c"))
	require.Len(t, s.stored(strings.Repeat("é", 256)), len(s)+3*maxKey)
}

// survives checks that nothing in stored means anything to a URL or a path.
func survives(t require.TestingT, stored string) {
	clean := path.Clean(stored)
	if strings.HasSuffix(stored, "/") {
		clean += "/"
	}
	require.Equal(t, stored, clean)
	for i := range len(stored) {
		require.Contains(t, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:@=/~", stored[i:i+1])
	}
}

func TestWhatOthersPutIntoTheFolderIsNoKey(t *testing.T) {
	s := keyspace("holdfast/")
	for _, stored := range []string{
		"", "holdfast", "holdfast/", "other/a", s.own(), "holdfast/~", "holdfast/~2", "holdfast/~61", "holdfast/~2F", "holdfast/a b", "holdfast/é",
		"holdfast/~ff", "holdfast/~0a", "holdfast/a//b", "holdfast/.a", "holdfast/" + strings.Repeat("a", maxKey+1),
	} {
		_, ok := s.original(stored)
		require.False(t, ok, "%q", stored)
	}
	require.Equal(t, []string{"a", "a b"}, s.originals([]string{"holdfast/a~20b", "holdfast/a", s.own(), "holdfast/a b"}))
}

func TestS3_StoredPrefixesAreThoseOfKeysWithThePrefixAndOfNoOther(t *testing.T) {
	s := keyspace("holdfast/")
	keys := rapid.StringOfN(rapid.RuneFrom([]rune("a/.~ %é\U0010ffff2f")), 1, 20, maxKey)
	rapid.Check(t, func(t *rapid.T) {
		key, other := keys.Draw(t, "key"), keys.Draw(t, "other")
		prefix := key[:rapid.IntRange(0, len(key)).Draw(t, "length of the prefix")] // may end inside a rune
		for _, one := range []string{key, other, prefix + other} {
			require.Equal(t, strings.HasPrefix(one, prefix), strings.HasPrefix(s.stored(one), s.stored(prefix)))
			survives(t, s.stored(one))
		}
		require.Equal(t, []string{key}, s.originals([]string{s.stored(key)}))
	})
}

func FuzzStoredKeysComeBack(f *testing.F) {
	for _, key := range nasty {
		f.Add(key, "a~2f")
	}
	f.Fuzz(func(t *testing.T, key, stored string) {
		s := keyspace("holdfast/")
		survives(t, s.stored(key))
		back, ok := s.original(s.stored(key))
		require.Equal(t, resilient.CheckKey(key) == nil, ok)
		if ok {
			require.Equal(t, key, back)
		}
		other := stored
		require.Equal(t, key == other, s.stored(key) == s.stored(other))
		require.Equal(t, strings.HasPrefix(other, key), strings.HasPrefix(s.stored(other), s.stored(key)), "a prefix stays one")
		if back, ok := s.original(string(s) + stored); ok {
			require.Equal(t, string(s)+stored, s.stored(back), "two keys are stored in one place")
		}
	})
}
