package failover_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

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
