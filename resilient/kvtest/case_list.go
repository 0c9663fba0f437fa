package kvtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

func listCases() []testCase {
	// lists stores keys and checks what each prefix finds against their bytes.
	lists := func(name string, keys []string, prefixes ...string) testCase {
		return testCase{name, func(e *env) {
			s := e.open()
			keys = slices.DeleteFunc(slices.Clone(keys), e.mayRefuse)
			for _, key := range keys {
				s.set(key, nil)
			}
			sorted := slices.Sorted(slices.Values(keys))
			for _, prefix := range prefixes {
				require.Equal(e, withPrefix(sorted, prefix), s.list(prefix), "List(%q)", prefix)
			}
		}}
	}
	cases := []testCase{
		lists("EmptyStore_NonNilEmpty", nil, "", "a", "/"),
		lists("NoMatch_NonNilEmpty", []string{"a", "b"}, "c", "aa", "ba", "B"),
		lists("EmptyPrefix_All", []string{"b", "a", "é", "~", " "}, ""),
		lists("ExactKeyIsItsOwnPrefix", []string{"key", "key2", "kez"}, "key", "key2", "key22"),
		lists("PrefixWithoutSeparator", []string{"user1", "user2", "user:1", "use"}, "user", "use", "u"),
		lists("PrefixWithSeparator", []string{"p", "p:1", "p:2", "p/1", "p/2", "p/2/3", "q:1"}, "p:", "p/", "p/2", "p/2/", "/p", ":"),
		lists("TrailingBackslash", []string{`a\`, `a\b`, `a`, `ab`, `a\\`}, `a\`, `a\\`, `\`),
		lists("CaseSensitive", []string{"p1", "P1", "pA", "Pa", "é1", "É1"}, "p", "P", "pa", "é", "É", "e"),
		lists("SpaceIsLiteral", []string{"a", "a ", "a b", " a"}, "a ", " ", "a  "),
		lists("UnicodePrefixSplitRune", []string{"é", "è", "ê", "日", "本", "e"}, "\xc3", "\xe6", "\xe6\x97", "é"),
		lists("Prefix0xFF", []string{"a", "a\U0010ffff", "a\U0010ffffb", "b", "\U0010ffff"},
			"\xff", "a\xff", "a\xf4", "a\xf4\x8f\xbf", "a\U0010ffff", "\xf4\x8f\xbf\xbf", "\xff\xff\xff"),
		lists("ImpossiblePrefix_NonNilEmpty", []string{"a", "b"}, "\x00", "a\x00", "\n", strings.Repeat("a", 600)),
		lists("SortedBytewise", []string{"b", "a", "B", "A", "_", "a/b", "a.b", "a b", "aa", "é", "z", "~", "日", "10", "9", "1"}, "", "a"),
		{"NoDuplicates", func(e *env) {
			s := e.open()
			for range 3 {
				for _, key := range []string{"a", "b", "a"} {
					s.set(key, []byte(key))
				}
			}
			require.Equal(e, []string{"a", "b"}, s.list(""))
		}},
		{"DeletedNotListed", func(e *env) {
			s := e.open()
			for _, key := range []string{"a", "b", "c"} {
				s.set(key, []byte(key))
			}
			s.del("b")
			require.Equal(e, []string{"a", "c"}, s.list(""))
			require.Empty(e, s.list("b"))
		}},
		{"ListedKeysAreGettable", func(e *env) {
			s := e.open()
			for _, key := range []string{"a", "a/b", "é", "a b", "A", "Key", "É/Ü"} {
				s.set(key, []byte("value of "+key))
			}
			for _, key := range s.list("") {
				s.holds(key, []byte("value of "+key))
			}
		}},
		{"10kKeys_Complete", listMany},
		{"DoesNotReturnOtherNamespaces", func(e *env) {
			a, b := e.open(), e.open()
			a.set("mine", nil)
			b.set("other", nil)
			require.Equal(e, []string{"mine"}, a.list(""))
			require.Empty(e, a.list("o"))
		}},
		{"ConcurrentWrites_NoDupNoPanic", listUnderWrites},
	}
	for name, c := range map[string]string{
		"Percent": "%", "Underscore": "_", "Star": "*", "QuestionMark": "?", "Bracket": "[", "ClosingBracket": "]", "Caret": "^",
		"Backslash": `\`, "Dot": ".", "Plus": "+", "Dollar": "$", "Parenthesis": "(", "Bar": "|", "Brace": "{", "Quote": "'",
	} {
		cases = append(cases, lists("Wildcards_Literal_"+name,
			[]string{"p", "p" + c, "p" + c + "x", "px", "pax", "p" + c + c, "xp" + c, c, c + "x", "x"},
			"p"+c, c, "p"+c+"x", "p"+c+c, c+c))
	}
	slices.SortStableFunc(cases, func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

func listMany(e *env) {
	s := e.open()
	n := e.size(10_000, 1_500)
	want := numbered("k", n, 8)
	s.fill(want)
	s.set("j", nil)
	s.set("l", nil)
	keys := slices.Sorted(maps.Keys(want))
	require.True(e, slices.Equal(keys, s.list("k")), "List found other than the %d keys that were set", n)
	require.True(e, slices.Equal(withPrefix(keys, "k0001"), s.list("k0001")), "List of a part")
	require.Len(e, s.list(""), n+2)
}

// fill stores kv, in batches if there are any.
func (s *store) fill(kv map[string][]byte) {
	s.Helper()
	if s.batch != nil {
		s.batchSet(kv)
		return
	}
	for key, value := range kv {
		s.set(key, value)
	}
}

// listUnderWrites lists while keys come and go: what stays is always listed,
// everything once and in order.
func listUnderWrites(e *env) {
	s := e.open()
	ctx := e.Context()
	stay := numbered("k5", 40, 8)
	s.fill(stay)
	var writers, lister sync.WaitGroup
	stop := make(chan struct{})
	errs := make(chan error, 8)
	for g := range 4 {
		writers.Go(func() {
			for i := range e.size(60, 15) {
				key := fmt.Sprintf("k%d%d-%d", g*2, i%7, g)
				if err := s.kv.SetRaw(ctx, key, nil); err != nil {
					errs <- fmt.Errorf("SetRaw: %w", err)
					return
				}
				if err := s.kv.Delete(ctx, key); err != nil {
					errs <- fmt.Errorf("Delete: %w", err)
					return
				}
			}
		})
	}
	lister.Go(func() {
		for i := 0; ; i++ {
			keys, err := s.kv.List(ctx, "k")
			if err == nil {
				err = inOrder(keys, stay)
			}
			if err != nil {
				errs <- fmt.Errorf("List: %w", err)
				return
			}
			select {
			case <-stop:
				if i >= 10 {
					return
				}
			default:
			}
		}
	})
	writers.Wait()
	close(stop)
	lister.Wait()
	close(errs)
	for err := range errs {
		require.NoError(e, err)
	}
	require.Equal(e, slices.Sorted(maps.Keys(stay)), s.list("k"))
}

// inOrder checks that keys ascend and hold all of stay.
func inOrder(keys []string, stay map[string][]byte) error {
	found := 0
	for i, key := range keys {
		if i > 0 && keys[i-1] >= key {
			return fmt.Errorf("%q comes after %q", key, keys[i-1])
		}
		if _, ok := stay[key]; ok {
			found++
		}
	}
	if found != len(stay) {
		return fmt.Errorf("%d of %d keys that nobody touched", found, len(stay))
	}
	return nil
}
