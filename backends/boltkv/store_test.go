package boltkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestS30_WhatWasReadStaysReadableAfterGrowthAndClose(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{})
	want := bytes.Repeat([]byte("0123456789"), 1000)
	for i := range 20 { // more than a page, or the bucket is stored inline
		require.NoError(t, kv.SetRaw(ctx, fmt.Sprint("key ", i), want))
	}
	one, err := kv.GetRaw(ctx, "key 7")
	require.NoError(t, err)
	many, err := kv.BatchGetRaw(ctx, []string{"key 7", "key 8", "absent"})
	require.NoError(t, err)
	require.Len(t, many, 2)
	one[0], many["key 8"][0] = 'x', 'x' // a slice of the mapping would not bear it

	require.NoError(t, kv.SetRaw(ctx, "growth", make([]byte, 4<<20)))
	require.NoError(t, kv.Close())
	require.Equal(t, want[1:], one[1:])
	require.Equal(t, want, many["key 7"])
	require.Equal(t, want[1:], many["key 8"][1:])
}

func TestEveryCallAfterCloseIsRefused(t *testing.T) {
	ctx := t.Context()
	kv, path := open(t, Config{})
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
	require.Zero(t, descriptors(t, filepath.Dir(path)))
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

func TestACanaryCommitsAndLeavesNoKey(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{Canary: true})
	before := lastCommit(t, kv.db)
	require.NoError(t, kv.Health(ctx))
	require.Equal(t, before+1, lastCommit(t, kv.db))
	keys, err := kv.List(ctx, "")
	require.NoError(t, err)
	require.Empty(t, keys)

	plain, _ := open(t, Config{})
	before = lastCommit(t, plain.db)
	require.NoError(t, plain.Health(ctx))
	require.Equal(t, before, lastCommit(t, plain.db))
}

func TestLongReadsEndWithTheirContext(t *testing.T) {
	kv, _ := open(t, Config{})
	many := make(map[string][]byte)
	var keys []string
	for i := range 1000 {
		key := fmt.Sprint("key ", i)
		many[key], keys = nil, append(keys, key)
	}
	require.NoError(t, kv.BatchSetRaw(t.Context(), many))
	_, err := kv.List(&fading{Context: t.Context()}, "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = kv.BatchGetRaw(&fading{Context: t.Context()}, keys)
	require.ErrorIs(t, err, context.Canceled)
}

// fading is a context that has ended when it is asked for the second time.
type fading struct {
	context.Context
	asked int
}

func (f *fading) Err() error {
	if f.asked++; f.asked > 1 {
		return context.Canceled
	}
	return nil
}

func TestClassifyKnowsWhatTheDriverMeans(t *testing.T) {
	kv, _ := open(t, Config{})
	for err, want := range map[error]resilient.Class{
		berrors.ErrDatabaseNotOpen:   resilient.Refused,
		berrors.ErrDatabaseReadOnly:  resilient.Refused,
		berrors.ErrTimeout:           resilient.Refused,
		berrors.ErrMaxSizeReached:    resilient.Refused,
		berrors.ErrChecksum:          resilient.Refused,
		berrors.ErrInvalid:           resilient.Refused,
		berrors.ErrVersionMismatch:   resilient.Refused,
		berrors.ErrKeyTooLarge:       resilient.Invalid,
		berrors.ErrValueTooLarge:     resilient.Invalid,
		berrors.ErrKeyRequired:       resilient.Invalid,
		berrors.ErrIncompatibleValue: resilient.Invalid,
		resilient.ErrAmbiguous:       resilient.Failed,
		syscall.EIO:                  resilient.OK, // don't know
	} {
		require.Equal(t, want, kv.Classify(fmt.Errorf("wrapped: %w", err)), err)
	}
}

func TestValuesUpToTheLimitAreKept(t *testing.T) {
	ctx := t.Context()
	kv, _ := open(t, Config{MaxValue: 1000})
	require.Equal(t, resilient.Limits{MaxKey: 512, MaxValue: 1000}, kv.Limits())
	require.NoError(t, kv.SetRaw(ctx, "k", make([]byte, 1000)))
	require.ErrorIs(t, kv.SetRaw(ctx, "k", make([]byte, 1001)), resilient.ErrValueTooLarge)
	require.ErrorIs(t, kv.BatchSetRaw(ctx, map[string][]byte{"a": nil, "k": make([]byte, 1001)}), resilient.ErrValueTooLarge)
	got, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Len(t, got, 1000)
}

// TestRegression_AListNamedKeysThatNoCallTakes: whoever copies a store
// key by key, as failover's Rebuild does, came to an end at one.
func TestRegression_AListNamedKeysThatNoCallTakes(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(kv.bucket)
		return errors.Join(b.Put([]byte("line\nfeed"), []byte("v")), b.Put([]byte("\xff"), nil))
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
