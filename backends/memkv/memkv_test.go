package memkv

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func open(t *testing.T, cfg Config) *KV {
	t.Helper()
	m, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func set(t *testing.T, m *KV, key string, size int) {
	t.Helper()
	require.NoError(t, m.SetRaw(t.Context(), key, make([]byte, size)))
}

func list(t *testing.T, m *KV) []string {
	t.Helper()
	keys, err := m.List(t.Context(), "")
	require.NoError(t, err)
	return keys
}

func TestS32_NewNamesEveryFaultOfItsConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"MaxBytes is -1": {MaxBytes: -1},
		"MaxBytes is 9":  {MaxBytes: 9, MaxKey: 9},
		"MaxKey is -1":   {MaxKey: -1},
		"MaxKey is 513":  {MaxKey: 513},
		"MaxValue is -1": {MaxValue: -1},
		"MaxValue is 5":  {MaxBytes: 12, MaxKey: 8, MaxValue: 5},
	} {
		m, err := New(cfg)
		require.ErrorContains(t, err, want)
		require.Nil(t, m)
	}
	_, err := New(Config{MaxBytes: -1, MaxKey: -1, MaxValue: -1})
	require.ErrorContains(t, err, "MaxBytes")
	require.ErrorContains(t, err, "MaxKey")
	require.ErrorContains(t, err, "MaxValue")
}

func TestLimitsAreThoseOfTheConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want resilient.Limits
	}{
		{Config{}, resilient.Limits{MaxKey: 512}},
		{Config{MaxKey: 8, MaxValue: 5}, resilient.Limits{MaxKey: 8, MaxValue: 5}},
		{Config{MaxBytes: 1000}, resilient.Limits{MaxKey: 512, MaxValue: 488}},
		{Config{MaxBytes: 1000, MaxKey: 100, MaxValue: 50}, resilient.Limits{MaxKey: 100, MaxValue: 50}},
	} {
		require.Equal(t, c.want, open(t, c.cfg).Limits())
	}
}

func TestAValueOfTheLimitFitsWithTheLongestKeyAndNoLargerOne(t *testing.T) {
	m := open(t, Config{MaxBytes: 100, MaxKey: 10})
	key := strings.Repeat("k", 10)
	set(t, m, key, 90)
	require.ErrorIs(t, m.SetRaw(t.Context(), key, make([]byte, 91)), resilient.ErrValueTooLarge)
	require.ErrorIs(t, m.SetRaw(t.Context(), key+"k", nil), resilient.ErrKeyTooLarge)

	value, err := m.GetRaw(t.Context(), key)
	require.NoError(t, err)
	require.Len(t, value, 90, "the old value is kept")
}

func TestS18_TheLeastRecentlyUsedKeysAreDroppedByBytes(t *testing.T) {
	m := open(t, Config{MaxBytes: 40, MaxKey: 8})
	for _, key := range []string{"a", "b", "c", "d"} {
		set(t, m, key, 9)
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, list(t, m), "40 bytes are not over the bound of 40")

	_, err := m.GetRaw(t.Context(), "a")
	require.NoError(t, err)
	_, err = m.BatchGetRaw(t.Context(), []string{"b"})
	require.NoError(t, err)
	set(t, m, "e", 0)
	require.Equal(t, []string{"a", "b", "d", "e"}, list(t, m), "c was used least recently")

	set(t, m, "f", 18)
	require.Equal(t, []string{"a", "b", "e", "f"}, list(t, m), "one key made room")
	set(t, m, "g", 32)
	require.Equal(t, []string{"g"}, list(t, m), "33 bytes leave no room for f's 19")
}

func TestReplacingAndDeletingGiveBytesBack(t *testing.T) {
	m := open(t, Config{MaxBytes: 40, MaxKey: 8})
	for range 100 {
		set(t, m, "a", 19)
		set(t, m, "b", 9)
		require.NoError(t, m.Delete(t.Context(), "b"))
		require.NoError(t, m.Delete(t.Context(), "b"))
		set(t, m, "c", 5)
		require.NoError(t, m.BatchDelete(t.Context(), []string{"c", "c", "none"}))
	}
	set(t, m, "a", 1)
	set(t, m, "d", 31)
	set(t, m, "e", 5)
	require.Equal(t, []string{"a", "d", "e"}, list(t, m), "2 + 32 + 6 bytes fit")
}

func TestABatchOverTheBoundKeepsWhatFits(t *testing.T) {
	m := open(t, Config{MaxBytes: 40, MaxKey: 8})
	batch := make(map[string][]byte)
	for i := range 100 {
		batch[fmt.Sprintf("k%02d", i)] = make([]byte, 7)
	}
	require.NoError(t, m.BatchSetRaw(t.Context(), batch))
	require.Len(t, list(t, m), 4)
}

func TestS18_ABoundedStoreStaysUnderItsBoundWhateverRunsAtOnce(t *testing.T) {
	m := open(t, Config{MaxBytes: 10_000, MaxKey: 8})
	ctx := context.Background()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("k%d", (g*31+i*17)%97)
				value := bytes.Repeat([]byte{byte(i)}, (g+1)*(i%60))
				if i%10 == 0 {
					_ = m.Delete(ctx, key)
					continue
				}
				_ = m.SetRaw(ctx, key, value)
				_, _ = m.GetRaw(ctx, key)
				_, _ = m.List(ctx, "k1")
			}
		})
	}
	wg.Wait()
	for i := range 97 { // whoever deleted last: now the bound is reached
		require.NoError(t, m.SetRaw(ctx, fmt.Sprintf("k%d", i), make([]byte, 300)))
	}

	held := int64(0)
	all, err := m.BatchGetRaw(ctx, list(t, m))
	require.NoError(t, err)
	for key, value := range all {
		held += size(key, value)
	}
	require.LessOrEqual(t, held, int64(10_000))
	require.Equal(t, held, m.table.(*bounded).used, "the count is that of what is held")
	require.Greater(t, held, int64(9_000), "or this shows nothing")
}

func TestGetCopiesOnceAndAllocatesNothingElse(t *testing.T) {
	for name, cfg := range map[string]Config{"unbounded": {}, "bounded": {MaxBytes: 10_000}} {
		m := open(t, cfg)
		set(t, m, "a", 100)
		ctx := context.Background()
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = m.GetRaw(ctx, "a") }), 1.0, name)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = m.GetRaw(ctx, "b") }), name)
	}
}

func TestRegression_TheErrorOfABatchWithAnEmptyKeyWasAMatterOfLuck(t *testing.T) {
	m, err := New(Config{MaxValue: 1})
	require.NoError(t, err)
	for range 100 {
		err := m.BatchSetRaw(t.Context(), map[string][]byte{"": nil, "\x00": nil, "large": make([]byte, 2)})
		require.ErrorIs(t, err, resilient.ErrEmptyKey)
	}
}

// Where an int has 32 bits the bound may be larger than any value.
func TestRegression_ABoundOfFourGibibytesWasAFault(t *testing.T) {
	m := open(t, Config{MaxBytes: 4 << 30})
	require.EqualValues(t, min(int64(4<<30-512), math.MaxInt), m.Limits().MaxValue)
}
