package badgerkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestABatchLargerThanATransactionIsSplit(t *testing.T) {
	ctx := t.Context()
	kv, db := borrow(t, Config{})
	t.Run("by count", func(t *testing.T) {
		many, keys := make(map[string][]byte), []string{}
		for i := range 2*int(db.MaxBatchCount()) + 10 {
			key := fmt.Sprintf("%06d", i)
			many[key], keys = []byte(key), append(keys, key)
		}
		require.NoError(t, kv.BatchSetRaw(ctx, many))
		listed, err := kv.List(ctx, "")
		require.NoError(t, err)
		require.Equal(t, keys, listed)
		got, err := kv.BatchGetRaw(ctx, keys)
		require.NoError(t, err)
		require.Equal(t, many, got)
		require.NoError(t, kv.BatchDelete(ctx, keys))
		listed, err = kv.List(ctx, "")
		require.NoError(t, err)
		require.Empty(t, listed)
	})
	t.Run("by bytes", func(t *testing.T) {
		many := make(map[string][]byte)
		for i := range 40 {
			many[fmt.Sprint("key ", i)] = bytes.Repeat([]byte{byte(i)}, 200<<10)
		}
		require.NoError(t, kv.BatchSetRaw(ctx, many))
		for key, value := range many {
			got, err := kv.GetRaw(ctx, key)
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
	})
}

func TestABatchCutShortBetweenTransactionsIsAmbiguous(t *testing.T) {
	kv, db := borrow(t, Config{})
	many := make(map[string][]byte)
	for i := range int(db.MaxBatchCount()) + 10 {
		many[fmt.Sprint(i)] = nil
	}
	// Asked on entry, before the first transaction and before the second.
	err := kv.BatchSetRaw(&fading{t.Context(), 3}, many)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	require.Less(t, len(keys), len(many))

	err = kv.BatchDelete(&fading{t.Context(), 2}, keys)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous, "nothing was sent")
}

func TestANilValueIsAnEmptyValue(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{})
	require.NoError(t, kv.SetRaw(ctx, "one", nil))
	require.NoError(t, kv.BatchSetRaw(ctx, map[string][]byte{"two": nil}))
	one, err := kv.GetRaw(ctx, "one")
	require.NoError(t, err)
	require.Equal(t, []byte{}, one)
	both, err := kv.BatchGetRaw(ctx, []string{"one", "two", "three"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"one": {}, "two": {}}, both)
}

func TestLongReadsEndWithTheirContext(t *testing.T) {
	kv, _ := open(t, Config{NoSync: true})
	many := make(map[string][]byte)
	var keys []string
	for i := range 1000 {
		key := fmt.Sprint("key ", i)
		many[key], keys = nil, append(keys, key)
	}
	require.NoError(t, kv.BatchSetRaw(t.Context(), many))
	_, err := kv.List(&fading{t.Context(), 2}, "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = kv.BatchGetRaw(&fading{t.Context(), 2}, keys)
	require.ErrorIs(t, err, context.Canceled)
}

func TestValuesUpToTheLimitAreKept(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{MaxValue: 5 << 20})
	require.Equal(t, resilient.Limits{MaxKey: 512, MaxValue: 5 << 20}, kv.Limits())
	want := bytes.Repeat([]byte("x"), 5<<20)
	require.NoError(t, kv.SetRaw(ctx, "k", want))
	require.ErrorIs(t, kv.SetRaw(ctx, "k", append(want, 'x')), resilient.ErrValueTooLarge)
	require.ErrorIs(t, kv.BatchSetRaw(ctx, map[string][]byte{"a": nil, "k": append(want, 'x')}), resilient.ErrValueTooLarge)
	got, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEveryCallAfterCloseIsRefused(t *testing.T) {
	ctx := t.Context()
	kv, dir := open(t, Config{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := kv.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, getErr := kv.GetRaw(ctx, "k")
	_, listErr := kv.List(ctx, "")
	_, batchErr := kv.BatchGetRaw(ctx, nil)
	for _, err := range []error{getErr, listErr, batchErr, kv.SetRaw(ctx, "k", nil), kv.Delete(ctx, "k"),
		kv.BatchSetRaw(ctx, nil), kv.BatchDelete(ctx, nil), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrClosed)
	}
	require.Zero(t, descriptors(t, dir))
}

func TestS31_CloseDuringCallsLetsEachEndCleanly(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{NoSync: true})
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for {
				_, getErr := kv.GetRaw(ctx, "k")
				err := errors.Join(getErr, kv.SetRaw(ctx, fmt.Sprint("k", i), nil), kv.Health(ctx))
				if err == nil {
					continue
				}
				if !errors.Is(err, resilient.ErrClosed) {
					t.Error(err)
				}
				return
			}
		})
	}
	require.NoError(t, kv.Close())
	all.Wait()
}

func TestACanaryWritesAndLeavesNoKeyInTheNamespace(t *testing.T) {
	ctx := t.Context()
	kv, db := borrow(t, Config{Canary: true})
	before := db.MaxVersion()
	require.NoError(t, kv.Health(ctx))
	require.Greater(t, db.MaxVersion(), before)
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Empty(t, keys)
	require.NoError(t, db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(kv.keys.canary)
		require.NoError(t, err)
		require.NotZero(t, item.ExpiresAt())
		return nil
	}))

	plain, db := borrow(t, Config{})
	before = db.MaxVersion()
	require.NoError(t, plain.Health(ctx))
	require.Equal(t, before, db.MaxVersion())
}

func TestClassifyKnowsWhatTheDriverMeans(t *testing.T) {
	kv, _ := open(t, Config{})
	for err, want := range map[error]resilient.Class{
		badger.ErrKeyNotFound:           resilient.Missing,
		badger.ErrConflict:              resilient.Conflict,
		badger.ErrBlockedWrites:         resilient.Refused,
		badger.ErrDBClosed:              resilient.Refused,
		badger.ErrReadOnlyTxn:           resilient.Refused,
		badger.ErrTruncateNeeded:        resilient.Refused,
		badger.ErrEncryptionKeyMismatch: resilient.Refused,
		badger.ErrTxnTooBig:             resilient.Invalid,
		badger.ErrEmptyKey:              resilient.Invalid,
		badger.ErrInvalidKey:            resilient.Invalid,
		badger.ErrBannedKey:             resilient.Invalid,
		resilient.ErrAmbiguous:          resilient.Failed,
		syscall.EIO:                     resilient.OK, // don't know
	} {
		require.Equal(t, want, kv.Classify(fmt.Errorf("wrapped: %w", err)), err)
	}
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	kv, db := borrow(t, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	require.NoError(t, db.Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Set(kv.keys.key("line\nfeed"), nil), txn.Set(kv.keys.key("\xff"), nil))
	}))
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
	for prefix, want := range map[string][]string{"k": {"key"}, "line": {}} {
		keys, err := kv.List(t.Context(), prefix)
		require.NoError(t, err)
		require.Equal(t, want, keys)
	}
}
