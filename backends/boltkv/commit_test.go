package boltkv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/resilient"
)

// hold begins a write transaction on db, which every write of a store in db
// must wait for.
func hold(tb testing.TB, db *bbolt.DB) (release func()) {
	tb.Helper()
	tx, err := db.Begin(true)
	require.NoError(tb, err)
	return func() { require.NoError(tb, tx.Rollback()) }
}

// begin calls fn in a goroutine and returns where its result will be.
func begin(fn func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	return done
}

func result(tb testing.TB, done <-chan error) error {
	tb.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.Fail(tb, "the call does not return")
		return nil
	}
}

func TestWritesThatWaitTogetherShareOneCommit(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	before := lastCommit(t, db)
	release := hold(t, db)
	var calls []<-chan error
	for i := range 64 {
		key := fmt.Sprintf("key %02d", i)
		calls = append(calls, begin(func() error { return kv.SetRaw(t.Context(), key, []byte(key)) }))
	}
	waitQueued(t, kv, 64)
	release()
	for _, call := range calls {
		require.NoError(t, result(t, call))
	}
	require.Equal(t, before+1, lastCommit(t, db))
	keys, err := kv.List(t.Context(), "key ")
	require.NoError(t, err)
	require.Len(t, keys, 64)
}

func TestABatchHasATransactionOfItsOwn(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	before := lastCommit(t, db)
	release := hold(t, db)
	set := func(key string) func() error {
		return func() error { return kv.SetRaw(t.Context(), key, nil) }
	}
	calls := []<-chan error{begin(set("a"))}
	waitQueued(t, kv, 1)
	calls = append(calls, begin(func() error { return kv.BatchSetRaw(t.Context(), map[string][]byte{"b": nil, "c": nil}) }))
	waitQueued(t, kv, 2)
	calls = append(calls, begin(set("d")))
	waitQueued(t, kv, 3)
	release()
	for _, call := range calls {
		require.NoError(t, result(t, call))
	}
	require.Equal(t, before+3, lastCommit(t, db))
}

func TestAWriteWhoseContextEndsInTheQueueIsNotApplied(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	release := hold(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	canceled := begin(func() error { return kv.SetRaw(ctx, "canceled", nil) })
	waitQueued(t, kv, 1)
	other := begin(func() error { return kv.SetRaw(t.Context(), "other", nil) })
	waitQueued(t, kv, 2)

	cancel()
	err := result(t, canceled) // while the transaction is still held
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)

	release()
	require.NoError(t, result(t, other))
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"other"}, keys)
}

func TestAWriteWhoseContextEndsDuringItsCommitIsAmbiguous(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	// A commit that outgrows the mapping waits for all readers.
	reader, err := db.Begin(false)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	value := bytes.Repeat([]byte("v"), 1<<20)
	release := hold(t, db)
	call := begin(func() error { return kv.SetRaw(ctx, "big", value) })
	waitQueued(t, kv, 1)
	release()
	waitQueued(t, kv, 0)
	cancel()
	err = result(t, call)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Failed, kv.Classify(err))
	clear(value) // the store has its own copy

	require.NoError(t, reader.Rollback())
	require.NoError(t, kv.SetRaw(t.Context(), "later", nil)) // after the commit in progress
	got, err := kv.GetRaw(t.Context(), "big")
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte("v"), 1<<20), got)
}

func TestOneWriteThatTheBucketRefusesFailsAlone(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket(kv.bucket).CreateBucket([]byte("nested"))
		return err
	}))
	before := lastCommit(t, db)
	release := hold(t, db)
	var good []<-chan error
	for i := range 5 {
		good = append(good, begin(func() error { return kv.SetRaw(t.Context(), fmt.Sprint("good ", i), nil) }))
	}
	bad := begin(func() error { return kv.SetRaw(t.Context(), "nested", nil) })
	waitQueued(t, kv, 6)
	release()
	for _, call := range good {
		require.NoError(t, result(t, call))
	}
	err := result(t, bad)
	require.ErrorIs(t, err, resilient.ErrInvalidKey)
	require.ErrorIs(t, err, berrors.ErrIncompatibleValue)
	require.NotContains(t, err.Error(), "nested")
	require.Equal(t, before+1, lastCommit(t, db))

	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"good 0", "good 1", "good 2", "good 3", "good 4"}, keys, "a nested bucket is not a key")
}

func TestABatchIsAppliedAsAWholeOrNotAtAll(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.Bucket(kv.bucket).CreateBucket([]byte("m"))
		return err
	}))
	err := kv.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "m": nil, "z": nil})
	require.ErrorIs(t, err, resilient.ErrInvalidKey)
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestOneWriteTooLargeForTheFileDoesNotFailTheOthersOfItsGroup(t *testing.T) {
	kv, db := borrow(t, Config{}, &bbolt.Options{MaxSize: 256 << 10})
	release := hold(t, db)
	var small []<-chan error
	for i := range 5 {
		small = append(small, begin(func() error { return kv.SetRaw(t.Context(), fmt.Sprint("small ", i), nil) }))
	}
	large := begin(func() error { return kv.SetRaw(t.Context(), "large", make([]byte, 1<<20)) })
	waitQueued(t, kv, 6)
	release()
	for _, call := range small {
		require.NoError(t, result(t, call))
	}
	err := result(t, large)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, berrors.ErrMaxSizeReached)
	require.NoError(t, kv.Health(t.Context()), "a lack of space does not break the store")
}

func TestCloseEndsQueuedWritesAtOnceAndWaitsForTheRest(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	release := hold(t, db)
	call := begin(func() error { return kv.SetRaw(t.Context(), "queued", nil) })
	waitQueued(t, kv, 1)
	closing := begin(kv.Close)
	require.ErrorIs(t, result(t, call), resilient.ErrClosed) // the transaction is still held
	release()
	require.NoError(t, result(t, closing))
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		require.Nil(t, tx.Bucket(kv.bucket).Get([]byte("queued")))
		return nil
	}))
}

func TestACommitOfDoubtfulOutcomeIsAmbiguousAndBreaksTheStore(t *testing.T) {
	kv, db := borrow(t, Config{}, nil)
	ctx := t.Context()
	require.NoError(t, kv.SetRaw(ctx, "k", []byte("v")))

	// The file shows transaction n as its last one: had n's own commit failed,
	// it would have been applied all the same.
	n := lastCommit(t, db)
	err := kv.committer.verdict(io.ErrUnexpectedEOF, n)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.NotErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	err = kv.committer.verdict(io.ErrUnexpectedEOF, n+1)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)

	for _, err := range []error{kv.SetRaw(ctx, "k", nil), kv.BatchDelete(ctx, []string{"k"}), kv.Health(ctx)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorContains(t, err, "opened anew")
	}
	value, err := kv.GetRaw(ctx, "k")
	require.NoError(t, err, "reads go on")
	require.Equal(t, "v", string(value))
}
