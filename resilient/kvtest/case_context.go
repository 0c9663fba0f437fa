package kvtest

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

func contextCases(can abilities) []testCase {
	var cases []testCase
	for _, name := range operationNames(can) {
		cases = append(cases,
			testCase{"PreCancelled_NoEffect_ErrCanceled/" + name, func(e *env) {
				ctx, cancel := context.WithCancel(e.Context())
				cancel()
				e.endedBefore(name, ctx, context.Canceled)
			}},
			testCase{"PreExpired_ErrDeadline/" + name, func(e *env) {
				ctx, cancel := context.WithDeadline(e.Context(), time.Now().Add(-time.Hour))
				defer cancel()
				e.endedBefore(name, ctx, context.DeadlineExceeded)
			}},
			testCase{"CancelMidFlight_ReturnsPromptly/" + name, func(e *env) { e.endedDuring(name) }},
		)
	}
	cases = append(cases, testCase{"CancelDoesNotPoisonPool", cancelMany},
		testCase{"NilSafe", func(e *env) {
			s := e.open()
			s.set("key", nil)
			s.holds("key", nil)
			if s.batch == nil {
				return
			}
			require.Empty(e, s.batchGet())
			s.batchDel()
			s.batchSet(nil)
			s.batchSet(map[string][]byte{"key": nil})
			s.holds("key", nil)
		}})
	return append(cases, when(can.batcher, testCase{"PreCancelled_EmptyBatch_ErrCanceled", func(e *env) {
		s := e.open()
		ctx, cancel := context.WithCancel(e.Context())
		cancel()
		values, err := s.batch.BatchGetRaw(ctx, nil)
		require.ErrorIs(e, err, context.Canceled)
		require.Nil(e, values)
		require.ErrorIs(e, s.batch.BatchSetRaw(ctx, nil), context.Canceled)
		require.ErrorIs(e, s.batch.BatchDelete(ctx, nil), context.Canceled)
	}})...)
}

func operationNames(can abilities) []string {
	names := []string{"Get", "Set", "Delete", "List", "Health"}
	if can.batcher {
		names = append(names, "BatchGet", "BatchSet", "BatchDelete")
	}
	return names
}

// named returns the operation of that name.
func (s *store) named(name string) operation {
	s.Helper()
	for _, o := range s.operations() {
		if o.name == name {
			return o
		}
	}
	require.FailNow(s, "the store has no "+name)
	return operation{}
}

// endedBefore calls the operation with a ctx that is over.
func (e *env) endedBefore(name string, ctx context.Context, want error) {
	e.Helper()
	s := e.open()
	s.set("key", []byte("old"))
	o := s.named(name)
	require.ErrorIs(e, o.run(ctx, "key", []byte("new")), want)
	require.ErrorIs(e, o.run(ctx, "key2", []byte("new")), want)
	s.holds("key", []byte("old"))
	require.Equal(e, []string{"key"}, s.list(""))
}

// endedDuring calls the operation with a ctx that ends some time in it. What was
// acknowledged is there, what was not is there or not, and nothing hangs.
func (e *env) endedDuring(name string) {
	e.Helper()
	s := e.open()
	o := s.named(name)
	for i := range e.size(20, 6) {
		// A key for each round: a write that its caller left may still land.
		key, value := fmt.Sprintf("key%d", i), fmt.Appendf(nil, "%d", i)
		s.set(key, []byte("old"))
		err := s.cut(i, func(ctx context.Context) error { return o.run(ctx, key, value) })
		if !o.op.Writes() {
			s.holds(key, []byte("old"))
			continue
		}
		got, getErr := s.kv.GetRaw(e.Context(), key)
		deletes := o.op == resilient.OpDelete || o.op == resilient.OpBatchDelete
		switch {
		case deletes && getErr != nil:
			require.ErrorIs(e, getErr, resilient.ErrNotFound)
		case !deletes && string(got) == string(value):
		default:
			require.NoError(e, getErr)
			require.Equal(e, "old", string(got))
			require.Error(e, err, "%s returned nil and was not applied", name)
		}
	}
	s.set("key", []byte("after"))
	s.holds("key", []byte("after"))
}

// cut runs fn with a ctx that ends soon, the later the larger i is, and returns
// fn's error. An end of ctx is no answer: the error must not look like one.
func (s *store) cut(i int, fn func(ctx context.Context) error) error {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Duration(i*i)*50*time.Microsecond)
	defer cancel()
	err := s.finishes("a call whose ctx has ended", func() error { return fn(ctx) })
	for _, answer := range []error{
		resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrInvalidKey,
		resilient.ErrKeyTooLarge, resilient.ErrValueTooLarge, resilient.ErrClosed,
	} {
		require.NotErrorIs(s, err, answer)
	}
	return err
}

// cancelMany leaves many calls half way; the store serves the next ones.
func cancelMany(e *env) {
	s := e.open()
	value := noise(1, 4096)
	s.set("key", value)
	for i := range e.size(60, 16) {
		_ = s.cut(i%16, func(ctx context.Context) error {
			for _, o := range s.operations() {
				if !o.op.Writes() {
					_ = o.run(ctx, "key", nil)
				}
			}
			return s.kv.SetRaw(ctx, "other", value)
		})
		s.set("next", value)
	}
	for range 20 {
		s.holds("key", value)
		s.set("other", value)
		require.NoError(e, s.kv.Health(e.Context()))
	}
}
