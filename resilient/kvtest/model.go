package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// RunPair makes the same random calls on the stores of a and b and demands the
// same answers: values, keys, and errors by the contract's sentinel. Both must
// also agree with a map. Keys that either may refuse are left out.
func RunPair(t *testing.T, a, b Harness) {
	t.Helper()
	skip := func(key string) bool {
		return a.SkipKeys != nil && a.SkipKeys(key) || b.SkipKeys != nil && b.SkipKeys(key)
	}
	sideBySide(newEnv(t, a, testing.Short()), skip, a, b)
}

func modelCases() []testCase {
	return []testCase{{"RandomOps_vs_MapModel", func(e *env) { sideBySide(e, e.mayRefuse, e.h) }}}
}

// sideBySide makes random calls on one store of each harness and on a map. One
// store serves all sequences: each begins by deleting everything, so that stores
// which are slow to open are tested as thoroughly as others.
func sideBySide(e *env, skip func(key string) bool, harnesses ...Harness) {
	stores := make([]*store, len(harnesses))
	for i, h := range harnesses {
		stores[i] = newEnv(e.TB, h, e.short).open()
	}
	keys := rapid.OneOf(rapid.SampledFrom(modelKeys), rapid.StringOfN(rapid.SampledFrom(modelRunes), 1, 4, -1)).
		Filter(func(key string) bool { return !skip(key) })
	rapid.Check(e, func(rt *rapid.T) {
		// A few keys for each sequence, so that its calls meet.
		few := rapid.SliceOfNDistinct(keys, 1, 5, rapid.ID[string]).Draw(rt, "few")
		m := &model{t: rt, want: make(map[string][]byte), few: few, keys: rapid.SampledFrom(few)}
		for _, s := range stores {
			m.subjects = append(m.subjects, &subject{kv: s.kv, reopen: func() resilient.KVWithHealth {
				if s.h.Reopen != nil {
					*s = *s.reopen(s)
				}
				return s.kv
			}})
		}
		m.clear()
		rt.Repeat(m.actions())
		m.audit(rt)
	})
}

// The keys of the model are close to one another.
var (
	modelKeys  = []string{"a", "A", "aa", "a/b", "a//b", "a/../b", "b", "a%", "a_", "a*", "é", "e\u0301", "a ", "日本", "🔑"}
	modelRunes = []rune("aAbé/%_*?[\\ .日\U0010ffff")
	badKeys    = map[string]error{
		"":                       resilient.ErrEmptyKey,
		"a\x00":                  resilient.ErrInvalidKey,
		"\xff":                   resilient.ErrInvalidKey,
		strings.Repeat("k", 513): resilient.ErrKeyTooLarge,
	}
	modelPrefixes = []string{"", "a", "A", "a/", "a%", "a_", "a*", "é", "\xc3", "e", "🔑", "b", "z", "\xff"}
)

// model is a map, the stores that must look like it, and the calls on both.
type model struct {
	t        *rapid.T
	subjects []*subject
	want     map[string][]byte
	few      []string
	keys     *rapid.Generator[string]
}

// subject is a store as the model uses it.
type subject struct {
	kv     resilient.KVWithHealth
	reopen func() resilient.KVWithHealth
}

// answer is what a caller sees of one call.
type answer struct {
	Err    string // the sentinel's text
	Value  string
	IsNil  bool
	Keys   []string
	Values map[string]string
}

func (m *model) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"Get": func(t *rapid.T) {
			m.get(t, m.key(t))
		},
		"Set": func(t *rapid.T) {
			key, value := m.key(t), drawValue(t)
			m.demand(t, "SetRaw", m.orBad(answer{}, key), func(ctx context.Context, s *subject) answer {
				return answer{Err: sentinel(s.kv.SetRaw(ctx, key, value))}
			})
			m.set(map[string][]byte{key: value})
		},
		"Delete": func(t *rapid.T) {
			key := m.key(t)
			m.demand(t, "Delete", m.orBad(answer{}, key), func(ctx context.Context, s *subject) answer {
				return answer{Err: sentinel(s.kv.Delete(ctx, key))}
			})
			delete(m.want, key)
		},
		"List": func(t *rapid.T) {
			prefix := rapid.OneOf(rapid.SampledFrom(modelPrefixes), m.keys).Draw(t, "prefix")
			m.list(t, prefix)
		},
		"Health": func(t *rapid.T) {
			m.demand(t, "Health", answer{}, func(ctx context.Context, s *subject) answer {
				return answer{Err: sentinel(s.kv.Health(ctx))}
			})
		},
		"Reopen": func(*rapid.T) {
			for _, s := range m.subjects {
				s.kv = s.reopen()
			}
		},
	}
	for _, s := range m.subjects {
		if _, ok := s.kv.(resilient.Batcher); !ok {
			return actions
		}
	}
	maps.Copy(actions, m.batchActions())
	return actions
}

func (m *model) batchActions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"BatchGet": func(t *rapid.T) { m.batchGet(t, m.someKeys(t)) },
		"BatchSet": func(t *rapid.T) {
			batch := make(map[string][]byte)
			for _, key := range m.someKeys(t) {
				batch[key] = drawValue(t)
			}
			want := m.orBad(answer{}, slices.Collect(maps.Keys(batch))...)
			m.demand(t, "BatchSetRaw", want, func(ctx context.Context, s *subject) answer {
				return answer{Err: sentinel(s.kv.(resilient.Batcher).BatchSetRaw(ctx, batch))}
			})
			if want.Err == "" {
				m.set(batch)
			}
		},
		"BatchDelete": func(t *rapid.T) {
			keys := m.someKeys(t)
			want := m.orBad(answer{}, keys...)
			m.demand(t, "BatchDelete", want, func(ctx context.Context, s *subject) answer {
				return answer{Err: sentinel(s.kv.(resilient.Batcher).BatchDelete(ctx, keys))}
			})
			if want.Err == "" {
				for _, key := range keys {
					delete(m.want, key)
				}
			}
		},
	}
}

// demand makes the call on every store and compares what comes back.
func (m *model) demand(t *rapid.T, name string, want answer, call func(context.Context, *subject) answer) {
	for i, s := range m.subjects {
		require.Equal(t, want, call(context.Background(), s), "%s of store %d", name, i)
	}
}

// audit compares everything that is there.
func (m *model) audit(t *rapid.T) {
	m.list(t, "")
	for _, key := range m.few {
		m.get(t, key)
	}
}

func (m *model) get(t *rapid.T, key string) {
	want := answer{Err: sentinel(resilient.ErrNotFound), IsNil: true}
	if value, ok := m.want[key]; ok {
		want = answer{Value: string(value)}
	}
	m.demand(t, "GetRaw", m.orBad(want, key), func(ctx context.Context, s *subject) answer {
		value, err := s.kv.GetRaw(ctx, key)
		return answer{Err: sentinel(err), Value: string(value), IsNil: value == nil}
	})
}

func (m *model) list(t *rapid.T, prefix string) {
	want := answer{Keys: withPrefix(slices.Sorted(maps.Keys(m.want)), prefix)}
	m.demand(t, "List", want, func(ctx context.Context, s *subject) answer {
		keys, err := s.kv.List(ctx, prefix)
		return answer{Err: sentinel(err), Keys: keys}
	})
}

func (m *model) batchGet(t *rapid.T, keys []string) {
	want := answer{Values: make(map[string]string)}
	for _, key := range keys {
		if value, ok := m.want[key]; ok {
			want.Values[key] = string(value)
		}
	}
	if bad := m.orBad(answer{}, keys...); bad.Err != "" {
		want = answer{Err: bad.Err, IsNil: true}
	}
	m.demand(t, "BatchGetRaw", want, func(ctx context.Context, s *subject) answer {
		values, err := s.kv.(resilient.Batcher).BatchGetRaw(ctx, keys)
		a := answer{Err: sentinel(err), IsNil: values == nil}
		for key, value := range values {
			if a.Values == nil {
				a.Values = make(map[string]string)
			}
			a.Values[key] = string(value)
			a.IsNil = a.IsNil || value == nil
		}
		if err == nil && values != nil && a.Values == nil {
			a.Values = make(map[string]string)
		}
		return a
	})
}

// clear empties every store.
func (m *model) clear() {
	ctx := context.Background()
	for _, s := range m.subjects {
		keys, err := s.kv.List(ctx, "")
		require.NoError(m.t, err)
		for _, key := range keys {
			require.NoError(m.t, s.kv.Delete(ctx, key))
		}
	}
}

func (m *model) set(kv map[string][]byte) {
	for key, value := range kv {
		if badKeys[key] == nil {
			m.want[key] = bytes.Clone(value)
		}
	}
}

// key draws a key, once in a while one that every store refuses.
func (m *model) key(t *rapid.T) string {
	if rapid.IntRange(0, 19).Draw(t, "bad") == 0 {
		return rapid.SampledFrom(slices.Sorted(maps.Keys(badKeys))).Draw(t, "key")
	}
	return m.keys.Draw(t, "key")
}

// someKeys draws keys of which at most one is refused: which of several is told
// is for the store to say.
func (m *model) someKeys(t *rapid.T) []string {
	keys := rapid.SliceOfN(m.keys, 0, 6).Draw(t, "keys")
	if len(keys) > 0 && rapid.IntRange(0, 9).Draw(t, "bad") == 0 {
		bad := rapid.SampledFrom(slices.Sorted(maps.Keys(badKeys))).Draw(t, "key")
		keys[rapid.IntRange(0, len(keys)-1).Draw(t, "at")] = bad
	}
	return keys
}

// orBad returns what a call gives that has a key which is refused, else want.
func (m *model) orBad(want answer, keys ...string) answer {
	for _, key := range keys {
		if err := badKeys[key]; err != nil {
			return answer{Err: sentinel(err), IsNil: want.IsNil}
		}
	}
	return want
}

func drawValue(t *rapid.T) []byte {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return noise(rapid.IntRange(0, 255).Draw(t, "seed"), 5000)
	case 1:
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "value")
}

// sentinel returns the contract's name of err, "" for nil.
func sentinel(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range []error{
		resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrInvalidKey, resilient.ErrKeyTooLarge,
		resilient.ErrValueTooLarge, resilient.ErrClosed, resilient.ErrBusy, resilient.ErrRefused,
		resilient.ErrAmbiguous, resilient.ErrUnavailable, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("no sentinel: %v", err)
}
