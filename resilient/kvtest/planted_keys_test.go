package kvtest

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedKeys are mistakes about which keys are the same.
var plantedKeys = []mistake{
	{"keys fold case", "Keys/CaseDistinct", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.ToLower) }},
	{"keys lose accents", "Keys/AccentDistinct", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.NewReplacer("é", "e", "è", "e").Replace) }},
	{"keys are composed", "Keys/NFCvsNFDDistinct", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.NewReplacer("e\u0301", "é").Replace) }},
	{"keys lose trailing space", "Keys/TrailingSpaceDistinct", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string {
			if trimmed := strings.TrimRight(key, " "); trimmed != "" {
				return trimmed
			}
			return key
		})
	}},
	{"keys are paths", "Keys/DotSegments_NoAlias", func(w *twisted, _ <-chan struct{}) { w.rekey(cleaned) }},
	{"keys are paths below a root", "Keys/ParentEscape_NoAlias", func(w *twisted, _ <-chan struct{}) { w.rekey(cleaned) }},
	{"keys lose double slashes", "Keys/DoubleSlash", func(w *twisted, _ <-chan struct{}) { w.rekey(cleaned) }},
	{"keys lose the leading slash", "Keys/LeadingSlash", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string { return strings.TrimPrefix(key, "/") })
	}},
	{"keys are unescaped", "Keys/PercentEncoded_NoDoubleDecode", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string {
			if plain, err := url.PathUnescape(key); err == nil {
				return plain
			}
			return key
		})
	}},
	{"keys end at the query", "Keys/QuestionHash", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string {
			if before, _, _ := strings.Cut(key, "?"); before != "" {
				return before
			}
			return key
		})
	}},
	{"keys are unquoted", "Keys/Quote_SQLMeta", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.NewReplacer("''", "'").Replace) }},
	{"keys lose backslashes", "Keys/Backslash", func(w *twisted, _ <-chan struct{}) { w.rekey(strings.NewReplacer(`\\`, `\`).Replace) }},
	{"keys are mangled to valid UTF-8", "Keys/InvalidUTF8_ErrInvalidKey_NeverMangled", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string { return strings.ToValidUTF8(key, "\ufffd") })
	}},
	{"keys end at NUL", "Keys/NUL", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string {
			if before, _, ok := strings.Cut(key, "\x00"); ok {
				return before + "_"
			}
			return key
		})
	}},
	{"keys lose line ends", "Keys/Newline", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string { return "_" + strings.TrimSpace(key) })
	}},
	{"control characters are dropped", "Keys/ControlCharacters", func(w *twisted, _ <-chan struct{}) {
		w.rekey(strings.NewReplacer("\x01", "_", "\x1b", "", "\u0085", "").Replace)
	}},
	{"keys end at 255 bytes", "Keys/LenMax", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string { return key[:min(len(key), 255)] })
	}},
	{"keys that are too long are cut", "Keys/LenMax+1_ErrKeyTooLarge", func(w *twisted, _ <-chan struct{}) {
		w.rekey(func(key string) string { return strings.ToValidUTF8(key[:min(len(key), 512)], "") })
	}},
	{"a key of the store's own is refused", "Keys/ReservedPrefix", func(w *twisted, _ <-chan struct{}) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			if strings.HasPrefix(key, "!badger!") {
				return resilient.ErrInvalidKey
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
	{"a batch get leaves bad keys out", "Keys/NUL", func(w *twisted, _ <-chan struct{}) {
		w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
			if len(keys) > 1 {
				keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return resilient.CheckKey(key) != nil })
			}
			return w.KV.BatchGetRaw(ctx, keys)
		}
	}},
}
