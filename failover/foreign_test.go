package failover_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// The stores of this file are foreign: they have the methods of KiviGo's
// backends (github.com/kivigo/kivigo, pkg/models/kv.go) and know nothing of
// this module. They do what some of those do: a sentinel of their own for a
// miss, of Delete too; nil for an empty value and for a missing key of a batch;
// lists in no order; no word about an ended ctx, a bad key or Close.

var (
	errTheirMiss = errors.New("key not found")
	errTheirDown = errors.New("connection reset by peer")
)

// shelf has pointer receivers, and no batches.
type shelf struct {
	mu   sync.Mutex // guards all below
	m    map[string][]byte
	down bool
}

func newShelf() *shelf { return &shelf{m: map[string][]byte{}} }

func (s *shelf) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// use runs f on what the shelf holds, unless that is out of reach.
func (s *shelf) use(f func(m map[string][]byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errTheirDown
	}
	return f(s.m)
}

func (s *shelf) GetRaw(_ context.Context, key string) (value []byte, err error) {
	err = s.use(func(m map[string][]byte) error {
		v, ok := m[key]
		if !ok {
			return errTheirMiss
		}
		value = append([]byte(nil), v...) // nil for an empty one
		return nil
	})
	return value, err
}

func (s *shelf) SetRaw(_ context.Context, key string, value []byte) error {
	return s.use(func(m map[string][]byte) error { m[key] = slices.Clone(value); return nil })
}

func (s *shelf) Delete(_ context.Context, key string) error {
	return s.use(func(m map[string][]byte) error {
		if _, ok := m[key]; !ok {
			return errTheirMiss
		}
		delete(m, key)
		return nil
	})
}

func (s *shelf) List(_ context.Context, prefix string) (keys []string, err error) {
	err = s.use(func(m map[string][]byte) error {
		for key := range m {
			if strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

func (s *shelf) Health(context.Context) error {
	return s.use(func(map[string][]byte) error { return nil })
}

func (s *shelf) Close() error { return nil }

// crate is a shelf with batches.
type crate struct{ *shelf }

func (c crate) BatchGetRaw(_ context.Context, keys []string) (map[string][]byte, error) {
	values := map[string][]byte{}
	err := c.use(func(m map[string][]byte) error {
		for _, key := range keys {
			values[key] = append([]byte(nil), m[key]...) // nil for a missing one too
		}
		return nil
	})
	return values, err
}

func (c crate) BatchSetRaw(_ context.Context, kv map[string][]byte) error {
	return c.use(func(m map[string][]byte) error {
		for key, value := range kv {
			m[key] = slices.Clone(value)
		}
		return nil
	})
}

func (c crate) BatchDelete(_ context.Context, keys []string) error {
	return c.use(func(m map[string][]byte) error {
		for _, key := range keys {
			if _, ok := m[key]; !ok {
				return errTheirMiss // with the keys behind it still there
			}
			delete(m, key)
		}
		return nil
	})
}

// card has value receivers and can be compared.
type card struct{ s *shelf }

func (c card) GetRaw(ctx context.Context, key string) ([]byte, error) { return c.s.GetRaw(ctx, key) }
func (c card) SetRaw(ctx context.Context, key string, value []byte) error {
	return c.s.SetRaw(ctx, key, value)
}
func (c card) Delete(ctx context.Context, key string) error { return c.s.Delete(ctx, key) }
func (c card) List(ctx context.Context, prefix string) ([]string, error) {
	return c.s.List(ctx, prefix)
}
func (c card) Health(ctx context.Context) error { return c.s.Health(ctx) }
func (c card) Close() error                     { return c.s.Close() }

// tray has a type that cannot be compared.
type tray struct {
	card
	labels []string
}

// crib has a type that can be compared, and may hold what cannot.
type crib struct {
	card
	option any
}

// drawer has no Health.
type drawer struct{ s *shelf }

func (d drawer) GetRaw(ctx context.Context, key string) ([]byte, error) { return d.s.GetRaw(ctx, key) }
func (d drawer) SetRaw(ctx context.Context, key string, value []byte) error {
	return d.s.SetRaw(ctx, key, value)
}
func (d drawer) Delete(ctx context.Context, key string) error { return d.s.Delete(ctx, key) }
func (d drawer) List(ctx context.Context, prefix string) ([]string, error) {
	return d.s.List(ctx, prefix)
}
func (d drawer) Close() error { return d.s.Close() }

// foreignKinds returns the ways in which a foreign store can come.
func foreignKinds() map[string]func(*shelf) resilient.KVWithHealth {
	return map[string]func(*shelf) resilient.KVWithHealth{
		"pointer receivers":             func(s *shelf) resilient.KVWithHealth { return s },
		"value receivers":               func(s *shelf) resilient.KVWithHealth { return card{s} },
		"a pointer to value receivers":  func(s *shelf) resilient.KVWithHealth { return &card{s} },
		"batches":                       func(s *shelf) resilient.KVWithHealth { return crate{s} },
		"a type that has no ==":         func(s *shelf) resilient.KVWithHealth { return tray{card{s}, nil} },
		"a value that cannot have ==":   func(s *shelf) resilient.KVWithHealth { return crib{card{s}, []int{1}} },
		"no Health":                     func(s *shelf) resilient.KVWithHealth { return resilient.NoHealth(drawer{s}) },
		"no Health, and is left behind": func(s *shelf) resilient.KVWithHealth { return resilient.Detach(resilient.NoHealth(drawer{s}), 0) },
	}
}

// foreign is the configuration for a foreign store below us and a client above
// us that looks for the same sentinel.
func foreign() resilient.Config {
	return resilient.Config{Classify: resilient.NotFoundIs(errTheirMiss), NotFound: errTheirMiss}
}

// has is what a client above us does with a miss: KiviGo's HasKey.
func has(t *testing.T, kv resilient.KV, key string) bool {
	t.Helper()
	_, err := kv.GetRaw(t.Context(), key)
	if errors.Is(err, errTheirMiss) {
		require.ErrorIs(t, err, resilient.ErrNotFound, "and ours")
		return false
	}
	require.NoError(t, err)
	return true
}

// useAsOurs makes every call of a store whose own are foreign, empty at first.
func useAsOurs(t *testing.T, kv interface {
	resilient.KVWithHealth
	resilient.Batcher
}) {
	t.Helper()
	ctx := t.Context()
	require.False(t, has(t, kv, "a"))
	require.NoError(t, kv.Delete(ctx, "a"), "to delete what is not there is no error")
	require.NoError(t, kv.BatchSetRaw(ctx, map[string][]byte{"c": []byte("3"), "b": nil, "a": []byte("1")}))
	require.True(t, has(t, kv, "a"))
	value, err := kv.GetRaw(ctx, "b")
	require.NoError(t, err)
	require.Equal(t, []byte{}, value, "an empty value is not nil")
	values, err := kv.BatchGetRaw(ctx, []string{"a", "none", "b"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("1"), "b": {}}, values, "a missing key is absent")
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, keys)
	require.NoError(t, kv.BatchDelete(ctx, []string{"none", "c", "a"}), "none of them is left")
	require.False(t, has(t, kv, "c"))
	require.NoError(t, kv.Delete(ctx, "b"))
	keys, err = kv.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{}, keys)
	require.ErrorIs(t, kv.SetRaw(ctx, "", nil), resilient.ErrEmptyKey)
}

func TestAForeignStoreGoesThroughWrap(t *testing.T) {
	for name, kind := range foreignKinds() {
		t.Run(name, func(t *testing.T) {
			s, err := resilient.Wrap(kind(newShelf()), foreign())
			require.NoError(t, err)
			useAsOurs(t, s)
			require.Equal(t, breaker.Closed, s.State(), "their misses are no failures")
			require.NoError(t, s.Close())
			require.ErrorIs(t, s.SetRaw(t.Context(), "a", nil), resilient.ErrClosed, "though they know no such thing")
		})
	}
}

func TestAForeignStoreIsAMemberOfAGroup(t *testing.T) {
	for name, kind := range foreignKinds() {
		for _, wrapped := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", wrapped"}[wrapped], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shelves := []*shelf{newShelf(), newShelf()}
					var members []resilient.KVWithHealth
					for i, s := range shelves {
						members = append(members, kind(s))
						if wrapped {
							cfg := foreign()
							cfg.Name = []string{"one", "two"}[i]
							store, err := resilient.Wrap(members[i], cfg)
							require.NoError(t, err)
							members[i] = store
						}
					}
					kv, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true, Member: foreign()}, members...)
					require.NoError(t, err)
					defer func() { require.NoError(t, kv.Close()) }()
					useAsOurs(t, kv)

					require.NoError(t, kv.SetRaw(t.Context(), "gone", []byte("x")))
					shelves[0].setDown(true)
					require.NoError(t, kv.SetRaw(t.Context(), "kept", []byte("y")))
					require.NoError(t, kv.Delete(t.Context(), "gone"))
					require.True(t, has(t, kv, "kept"))
					require.False(t, has(t, kv, "gone"), "what is owed is a miss like any other")
					require.NotEmpty(t, kv.Owed())

					shelves[0].setDown(false)
					time.Sleep(time.Minute)
					require.Empty(t, kv.Owed())
					require.Equal(t, shelves[1].m, shelves[0].m)
				})
			})
		}
	}
}

func TestTheSameForeignStoreTwiceIsFoundWhereItCanBe(t *testing.T) {
	s := newShelf()
	for name, kv := range map[string]resilient.KVWithHealth{"a pointer": s, "a value": card{s}, "batches": crate{s}, "no Health": resilient.NoHealth(drawer{s})} {
		t.Run(name, func(t *testing.T) {
			_, err := failover.New(failover.Config{Writes: failover.Mirror}, kv, kv)
			require.ErrorContains(t, err, "the same store")
		})
	}
}

func TestATypedNilOfAForeignStoreIsAnErrorEverywhere(t *testing.T) {
	var none *shelf
	var noCard *card
	for name, kv := range map[string]resilient.KVWithHealth{
		"pointer receivers": none, "value receivers": noCard, "NoHealth": resilient.NoHealth(none),
		"KeepOpen": resilient.KeepOpen(none), "Detach": resilient.Detach(noCard, 0),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resilient.Wrap(kv, foreign())
			require.ErrorContains(t, err, "the store is nil")
			_, err = failover.New(failover.Config{Writes: failover.Mirror}, newShelf(), kv)
			require.ErrorContains(t, err, "member 1 is nil")
			_, err = failover.WithCache(kv, newShelf(), failover.CacheConfig{})
			require.ErrorContains(t, err, "the store is nil")
			_, err = failover.WithCache(newShelf(), kv, failover.CacheConfig{})
			require.ErrorContains(t, err, "the cache is nil")
		})
	}
}

func TestAForeignStoreBehindWrapObeysTheContract(t *testing.T) {
	for name, kind := range map[string]func(*shelf) resilient.KVWithHealth{
		"without batches": func(s *shelf) resilient.KVWithHealth { return s },
		"with batches":    func(s *shelf) resilient.KVWithHealth { return crate{s} },
	} {
		t.Run(name, func(t *testing.T) {
			kvtest.Run(t, kvtest.Harness{Small: true, Open: func(tb testing.TB) resilient.KVWithHealth {
				s, err := resilient.Wrap(kind(newShelf()), foreign())
				require.NoError(tb, err)
				return s
			}})
		})
	}
}

func TestRegression_NewPanicsOverAStoreThatHoldsWhatCannotBeCompared(t *testing.T) {
	kv, err := failover.New(failover.Config{Writes: failover.Mirror}, crib{card{newShelf()}, []int{1}}, newShelf())
	require.NoError(t, err)
	require.NoError(t, kv.Close())
}

func TestRegression_AKeyDeletedInAnOutageIsNotTheirNotFound(t *testing.T) {
	members := []*shelf{newShelf(), newShelf()}
	kv, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true, Member: foreign()}, members[0], members[1])
	require.NoError(t, err)
	require.NoError(t, kv.SetRaw(t.Context(), "k", nil))
	require.NoError(t, kv.Drain("shelf"))
	require.NoError(t, kv.Delete(t.Context(), "k"))
	require.False(t, has(t, kv, "k"), "the overlay answers")
	require.NoError(t, kv.Release("shelf"))
	require.NoError(t, kv.Close())
}
