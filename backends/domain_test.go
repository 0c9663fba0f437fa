package backends_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
)

// TestS5_EveryStoreRefusesTheSameKeysBeforeAnyIO: the servers are not there,
// and nobody misses them.
func TestS5_EveryStoreRefusesTheSameKeysBeforeAnyIO(t *testing.T) {
	stores := map[string]batchKV{}
	add := func(kind string, kv resilient.KVWithHealth, err error) {
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, kv.Close()) })
		stores[kind] = kv.(batchKV)
	}
	for kind, open := range absent {
		kv, err := open("password")
		add(kind, kv, err)
	}
	dir := t.TempDir()
	bolt, err := boltkv.Open(filepath.Join(dir, "bolt.db"), boltkv.Config{})
	add("bolt", bolt, err)
	badger, err := badgerkv.Open(filepath.Join(dir, "badger"), badgerkv.Config{})
	add("badger", badger, err)
	mem, err := memkv.New(memkv.Config{})
	add("mem", mem, err)

	ctx := t.Context()
	for kind, kv := range stores {
		for key, want := range map[string]error{
			"": resilient.ErrEmptyKey, strings.Repeat("k", 513): resilient.ErrKeyTooLarge, strings.Repeat("é", 257): resilient.ErrKeyTooLarge,
			"a\x00b": resilient.ErrInvalidKey, "a\r\nb": resilient.ErrInvalidKey, "\x7f": resilient.ErrInvalidKey, "\u0085": resilient.ErrInvalidKey,
			"\xff": resilient.ErrInvalidKey, "a\xed\xa0\x80": resilient.ErrInvalidKey, "\xc0\x80": resilient.ErrInvalidKey,
		} {
			for op, err := range map[string]error{
				"Get": second(kv.GetRaw(ctx, key)), "Set": kv.SetRaw(ctx, key, nil), "Delete": kv.Delete(ctx, key),
				"BatchGet": second(kv.BatchGetRaw(ctx, []string{"a", key})), "BatchSet": kv.BatchSetRaw(ctx, map[string][]byte{"a": nil, key: nil}),
				"BatchDelete": kv.BatchDelete(ctx, []string{"a", key}),
			} {
				require.ErrorIs(t, err, want, "%s of %s: %q", op, kind, key)
				require.NotErrorIs(t, err, resilient.ErrUnavailable, "%s of %s: %q", op, kind, key)
			}
		}
	}
	for _, kind := range []string{"bolt", "badger", "mem"} {
		left, err := stores[kind].List(ctx, "")
		require.NoError(t, err)
		require.Empty(t, left, "%s has nothing of a batch that was refused", kind)
	}
}

// everyStore shows a new store of every kind.
func everyStore(t *testing.T, show func(t *testing.T, kv batchKV)) {
	for _, kind := range []string{"bolt", "badger", "mem", "redis", "postgres", "mysql", "etcd", "consul", "mongo"} {
		t.Run(kind, func(t *testing.T) {
			var kv resilient.KVWithHealth
			var err error
			switch kind {
			case "badger":
				kv, err = badgerkv.Open(filepath.Join(t.TempDir(), "badger"), badgerkv.Config{NoSync: true})
			case "mem":
				kv, err = memkv.New(memkv.Config{})
			default:
				kv = newCalmPlace(t, kind).open(t, fresh())
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, kv.Close()) }()
			show(t, kv.(batchKV))
		})
	}
}

// alike are keys that a store could take for one another, or for a pattern.
var alike = []string{
	"a", "A", "a ", " a", "a\u00a0", "e", "é", "e\u0301", "ß", "ss", "İ", "i", "ı", "ﬀ", "ff", "%", "_", "a%", "a_", "ab", `\`, `a\`, `a\_`, `a\%`,
	"*", "a*", "?", "a?", "[", "[a]", "[^a]", "a[", "^a", "$", "a$", ".", "..", "../a", "./a", "a/", "/a", "a//b", "a/b", "a/./b", "%2e", "%2F", "+", "0", "00", "\U0010ffff",
}

func TestS3_APrefixIsTheseBytesInEveryStore(t *testing.T) {
	everyStore(t, func(t *testing.T, kv batchKV) {
		all := map[string][]byte{}
		for _, key := range alike {
			all[key] = nil
			require.NoError(t, kv.SetRaw(t.Context(), key, nil))
		}
		require.Len(t, all, len(alike))
		for _, prefix := range append([]string{"", "\xc3", "e\xcc", "absent"}, alike...) {
			want := []string{}
			for _, key := range alike {
				if strings.HasPrefix(key, prefix) {
					want = append(want, key)
				}
			}
			slices.Sort(want)
			got, err := kv.List(t.Context(), prefix)
			require.NoError(t, err)
			require.Equal(t, want, got, "%q", prefix)
		}
	})
}

func TestS6_NoTwoKeysAreOneInAnyStore(t *testing.T) {
	everyStore(t, func(t *testing.T, kv batchKV) {
		for _, key := range alike {
			require.NoError(t, kv.SetRaw(t.Context(), key, []byte("value of "+key)))
		}
		for _, key := range alike {
			value, err := kv.GetRaw(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, "value of "+key, string(value))
			require.NoError(t, kv.Delete(t.Context(), key))
			_, err = kv.GetRaw(t.Context(), key)
			require.ErrorIs(t, err, resilient.ErrNotFound, "%q", key)
		}
	})
}

// TestS26_NoKeyAndNoNamespaceIsPartOfAPath: and a path that no system call
// takes is an error.
func TestS26_NoKeyAndNoNamespaceIsPartOfAPath(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "in")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, namespace := range []string{"../../out", "..", "/etc/out"} {
		bolt, err := boltkv.Open(filepath.Join(dir, "bolt.db"), boltkv.Config{Namespace: namespace})
		require.NoError(t, err)
		badger, err := badgerkv.Open(filepath.Join(dir, "badger"), badgerkv.Config{Namespace: namespace})
		require.NoError(t, err)
		for _, kv := range []resilient.KV{bolt, badger} {
			for _, key := range []string{"../out", "../../out", "/etc/out", "..", ".", "a/../../../out"} {
				require.NoError(t, kv.SetRaw(t.Context(), key, nil))
			}
			require.NoError(t, kv.Close())
		}
	}
	for folder, want := range map[string][]string{root: {"in"}, dir: {"badger", "bolt.db"}} {
		var names []string
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		require.Equal(t, want, names)
	}
	_, err := boltkv.Open(filepath.Join(dir, "a\x00b"), boltkv.Config{})
	require.Error(t, err)
	_, err = badgerkv.Open(filepath.Join(dir, "a\x00b"), badgerkv.Config{})
	require.Error(t, err)
}
