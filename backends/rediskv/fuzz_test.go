package rediskv

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/classtest"
	"github.com/holdfastkv/holdfast/resilient"
)

// globMatch is what Redis makes of a pattern (stringmatchlen in util.c of
// 7.0.15), written after its description: '*' is any bytes, '?' any byte,
// '[...]' one of a set, a backslash takes the meaning of the byte behind it.
func globMatch(pattern, s string) bool {
	for pattern != "" {
		switch c := pattern[0]; {
		case c == '*':
			for i := 0; i <= len(s); i++ {
				if globMatch(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case s == "":
			return false
		case c == '[':
			in, rest := oneOf(pattern[1:], s[0])
			if !in {
				return false
			}
			pattern, s = rest, s[1:]
			continue
		case c == '\\' && len(pattern) > 1:
			pattern = pattern[1:]
			fallthrough
		default:
			if pattern[0] != s[0] && c != '?' {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// oneOf reports whether c is in the set that pattern, behind the bracket,
// begins with, and returns what follows it.
func oneOf(pattern string, c byte) (in bool, rest string) {
	not := strings.HasPrefix(pattern, "^")
	if not {
		pattern = pattern[1:]
	}
	for pattern != "" && pattern[0] != ']' {
		switch {
		case pattern[0] == '\\' && len(pattern) > 1:
			in = in || pattern[1] == c
			pattern = pattern[2:]
		case len(pattern) > 2 && pattern[1] == '-':
			low, high := min(pattern[0], pattern[2]), max(pattern[0], pattern[2])
			in = in || low <= c && c <= high
			pattern = pattern[3:]
		default:
			in = in || pattern[0] == c
			pattern = pattern[1:]
		}
	}
	return in != not, strings.TrimPrefix(pattern, "]")
}

func TestTheMatcherOfTheFuzzerKnowsWhatAPatternMeans(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "ab", false}, {"a?", "ab", true}, {"a?", "a", false}, {"[ab]c", "bc", true},
		{"[^ab]c", "bc", false}, {"[a-c]", "b", true}, {"[c-a]", "b", true}, {"[\\]]", "]", true}, {`\*`, "*", true}, {`\*`, "a", false}, {`\\`, `\`, true},
		{`a\`, `a\`, true}, {"[a", "a", true}, {`\?`, "a", false}, {"", "", true}, {"*", "", true}, {"a]", "a]", true},
	} {
		require.Equal(t, c.want, globMatch(c.pattern, c.s), "%q %q", c.pattern, c.s)
	}
}

func FuzzAPrefixIsTakenLiterally(f *testing.F) {
	f.Fuzz(func(t *testing.T, prefix, other string) {
		if len(prefix)+len(other) > 200 { // backtracking
			return
		}
		pattern := literal(prefix)
		require.True(t, globMatch(pattern, prefix))
		require.Equal(t, other == prefix, globMatch(pattern, other))
		for _, key := range []string{other, prefix + other, other + prefix} {
			require.Equal(t, strings.HasPrefix(key, prefix), globMatch(pattern+"*", key), "%q", key)
		}
	})
}

func FuzzANamespaceOverlapsWithNoOther(f *testing.F) {
	f.Fuzz(func(t *testing.T, a, b string) {
		if (Config{Namespace: a}).withDefaults().validate() != nil || a == "" {
			return
		}
		require.Equal(t, a, literal(a))
		require.NotContains(t, a, ":")
		require.NotContains(t, a, "{", "it would be part of a cluster's hash tag")
		if b != "" && a != b && (Config{Namespace: b}).validate() == nil {
			require.False(t, strings.HasPrefix(a+":", b+":"))
		}
	})
}

type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			reply(text), reply("ERR " + text), reply("NOPERM " + text), reply("LOADING loading the dataset"), reply("WRONGTYPE wrong kind of value"),
			redis.Nil, redis.ErrClosed, redis.ErrPoolTimeout, redis.ErrPoolExhausted, redis.TxFailedErr, judge(reply("OOM " + text)), judge(reply(text)),
			&judged{class: resilient.Refused, text: text}, &net.OpError{Op: "write", Err: syscall.EPIPE},
		}
	})
}

func FuzzOpenNeverShowsThePassword(f *testing.F) {
	f.Fuzz(func(t *testing.T, before, after string) {
		kv, err := Open(before+canaryPassword+after, Config{})
		if err != nil {
			require.Nil(t, kv)
			discreet(t, err)
			return
		}
		discreet(t, kv)
		require.NoError(t, kv.Close())
	})
}
