package kvtest

import (
	"context"
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedLists are mistakes about lists and their prefixes.
var plantedLists = []mistake{
	{"nil for an empty list", "List/EmptyStore_NonNilEmpty", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string { return append([]string(nil), keys...) })
	}},
	{"lists come in any order", "List/SortedBytewise", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string { slices.Reverse(keys); return keys })
	}},
	{"lists are sorted without case", "List/SortedBytewise", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string {
			slices.SortStableFunc(keys, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
			return keys
		})
	}},
	{"a key is listed for each of its versions", "List/NoDuplicates", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string { return append(keys, keys...) })
	}},
	{"a list ends at its first page", "List/10kKeys_Complete", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string { return keys[:min(len(keys), 1000)] })
	}},
	{"the empty prefix lists nothing", "List/EmptyPrefix_All", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool { return prefix != "" && strings.HasPrefix(key, prefix) })
	}},
	{"a prefix ends at a separator", "List/PrefixWithoutSeparator", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool { return prefix == "" || strings.HasPrefix(key, prefix+":") })
	}},
	{"a prefix is a LIKE pattern", "List/Wildcards_Literal_Underscore", func(w *twisted, _ <-chan struct{}) {
		w.matching("_", ".", "%", ".*")
	}},
	{"a prefix with a per cent sign is a LIKE pattern", "List/Wildcards_Literal_Percent", func(w *twisted, _ <-chan struct{}) {
		w.matching("_", ".", "%", ".*")
	}},
	{"a prefix is a glob", "List/Wildcards_Literal_Star", func(w *twisted, _ <-chan struct{}) {
		w.matching(`\*`, ".*", `\?`, ".")
	}},
	{"a prefix with a question mark is a glob", "List/Wildcards_Literal_QuestionMark", func(w *twisted, _ <-chan struct{}) {
		w.matching(`\*`, ".*", `\?`, ".")
	}},
	{"a prefix is a regular expression", "List/Wildcards_Literal_Dot", func(w *twisted, _ <-chan struct{}) {
		w.matching(`\.`, ".")
	}},
	{"a backslash in a prefix escapes", "List/TrailingBackslash", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool { return strings.HasPrefix(key, strings.ReplaceAll(prefix, `\`, "")) })
	}},
	{"a prefix folds case", "List/CaseSensitive", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool { return strings.HasPrefix(strings.ToLower(key), strings.ToLower(prefix)) })
	}},
	{"a prefix must be text", "List/UnicodePrefixSplitRune", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool { return strings.HasPrefix(key, strings.ToValidUTF8(prefix, "\ufffd")) })
	}},
	{"the end of a prefix of 0xff is before it", "List/Prefix0xFF", func(w *twisted, _ <-chan struct{}) {
		w.where(func(prefix, key string) bool {
			if prefix == "" {
				return true
			}
			end := []byte(prefix)
			end[len(end)-1]++
			return prefix <= key && key < string(end) || prefix[len(prefix)-1] == 0xff && prefix <= key
		})
	}},
	{"a prefix is checked like a key", "List/ImpossiblePrefix_NonNilEmpty", func(w *twisted, _ <-chan struct{}) {
		w.list = func(ctx context.Context, prefix string) ([]string, error) {
			if err := resilient.CheckKey(prefix); err != nil && prefix != "" {
				return nil, err
			}
			return w.KV.List(ctx, prefix)
		}
	}},
	{"deleted keys are listed", "List/DeletedNotListed", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string { return append(keys, "b") })
	}},
	{"keys are listed in lower case", "List/ListedKeysAreGettable", func(w *twisted, _ <-chan struct{}) {
		w.relist(func(keys []string) []string {
			for i := range keys {
				keys[i] = strings.ToLower(keys[i])
			}
			return keys
		})
	}},
	{"a list misses keys while others are written", "List/ConcurrentWrites_NoDupNoPanic", func(w *twisted, _ <-chan struct{}) {
		var n int
		w.relist(func(keys []string) []string {
			if n++; n%3 == 0 && len(keys) > 0 {
				return slices.Delete(keys, len(keys)/2, len(keys)/2+1)
			}
			return keys
		})
	}},
}
