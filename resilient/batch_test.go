package resilient

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

func TestABatchIsOnePermitOnePlaceAndOneEvent(t *testing.T) {
	for name, kv := range map[string]func(*fake) KVWithHealth{
		"by key": func(f *fake) KVWithHealth { return f },
		"native": func(f *fake) KVWithHealth { return &batchFake{fake: f} },
	} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{}
			cfg := quiet()
			cfg.Observer, cfg.MaxInFlight = rec, 1
			s := wrap(t, kv(newFake()), cfg)
			keys := []string{"a", "b", "c"}
			require.NoError(t, s.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": nil, "c": nil}))
			_, err := s.BatchGetRaw(t.Context(), keys)
			require.NoError(t, err)
			require.NoError(t, s.BatchDelete(t.Context(), keys))
			calls := rec.of(KindCall)
			require.Len(t, calls, 3)
			require.Equal(t, []Op{OpBatchSet, OpBatchGet, OpBatchDelete}, []Op{calls[0].Op, calls[1].Op, calls[2].Op})
			require.Len(t, rec.of(KindDone), 3)
		})
	}
}

func TestABatchGetThatFailsIsNoMapAtAll(t *testing.T) {
	f := newFake()
	f.get = func(_ context.Context, key string) ([]byte, error) {
		if key == "bad" {
			return nil, errBroken
		}
		return []byte(key), nil
	}
	s := wrap(t, f, counts())
	values, err := s.BatchGetRaw(t.Context(), []string{"a", "bad", "c"})
	require.ErrorIs(t, err, errBroken)
	require.Nil(t, values)
	require.Equal(t, breaker.Open, s.State())
}

func TestANilEntryOfABatchIsAskedAgain(t *testing.T) {
	f := newFake()
	f.get = func(_ context.Context, key string) ([]byte, error) {
		switch key {
		case "empty":
			return nil, nil
		case "late":
			return []byte("here"), nil
		}
		return nil, ErrNotFound
	}
	b := &batchFake{fake: f, batchGet: func(context.Context, []string) (map[string][]byte, error) {
		return map[string][]byte{"v": []byte("v"), "empty": nil, "late": nil, "none": nil, "not asked for": []byte("x")}, nil
	}}
	rec := &recorder{}
	cfg := quiet()
	cfg.Observer = rec
	s := wrap(t, b, cfg)
	values, err := s.BatchGetRaw(t.Context(), []string{"v", "empty", "late", "none", "absent", "late"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"v": []byte("v"), "empty": {}, "late": []byte("here")}, values)
	require.Equal(t, 3, f.count(OpGet), "once each")
	require.Len(t, rec.of(KindCall), 1)

	f.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
	values, err = s.BatchGetRaw(t.Context(), []string{"v", "empty"})
	require.ErrorIs(t, err, errBroken)
	require.Nil(t, values)
}

func TestAStoreThatCallsAMissingKeyOfABatchAMissIsAskedKeyByKey(t *testing.T) {
	f := newFake()
	f.data["a"], f.data["b"] = []byte("1"), []byte("2")
	b := &batchFake{
		fake:     f,
		batchGet: func(context.Context, []string) (map[string][]byte, error) { return nil, ErrNotFound },
		batchDel: func(context.Context, []string) error { return fmt.Errorf("second key: %w", ErrNotFound) },
	}
	f.del = func(_ context.Context, key string) error {
		if key == "none" {
			return ErrNotFound
		}
		delete(f.data, key)
		return nil
	}
	s := wrap(t, b, quiet())
	values, err := s.BatchGetRaw(t.Context(), []string{"a", "none", "b"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("1"), "b": []byte("2")}, values)
	require.NoError(t, s.BatchDelete(t.Context(), []string{"a", "none", "b"}))
	require.Empty(t, f.keys())
}

func TestABatchWriteThatStoppedHalfWayMayHaveBeenApplied(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		opens bool
	}{
		"refused": {errRefusedByIt, true},
		"invalid": {ErrValueTooLarge, false},
		"failed":  {errBroken, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			at := func(key string) error {
				if key == "b" {
					return c.err
				}
				return nil
			}
			f.set = func(_ context.Context, key string, _ []byte) error { return at(key) }
			f.del = func(_ context.Context, key string) error { return at(key) }
			for _, write := range []func(s *Store, keys ...string) error{
				func(s *Store, keys ...string) error {
					kv := map[string][]byte{}
					for _, key := range keys {
						kv[key] = nil
					}
					return s.BatchSetRaw(t.Context(), kv)
				},
				func(s *Store, keys ...string) error { return s.BatchDelete(t.Context(), keys) },
			} {
				s := wrap(t, f, counts())
				err := write(s, "a", "b", "c")
				require.ErrorIs(t, err, ErrAmbiguous)
				require.ErrorIs(t, err, c.err)
				require.ErrorContains(t, err, "1 of 3 keys were written before")
				require.NotContains(t, err.Error(), `"b"`)
				require.Equal(t, c.opens, s.State() == breaker.Open, "the breaker judges the failure itself")

				s = wrap(t, f, counts())
				err = write(s, "b", "c")
				require.Equal(t, c.err == errBroken, isAmbiguous(err), "nothing was written before")
			}
		})
	}
}

func TestAPartOfABatchIsToldWithoutAKey(t *testing.T) {
	inner := &Error{Op: OpSet, Store: "s", Class: Refused, Err: errBroken}
	part := &partialError{maybeApplied{inner}, 1, 3, false}
	again := &partialError{maybeApplied{inner}, 0, 3, true}
	require.EqualError(t, part, inner.Error()+" (1 of 3 keys were written before)")
	require.EqualError(t, again, inner.Error()+" (some of 3 keys may have been written before)")
	for _, err := range []error{part, again} {
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Same(t, inner, e)
		require.ErrorIs(t, err, errBroken)
		require.NotErrorIs(t, err, ErrRefused)
	}
	require.EqualError(t, &missing{err: errBroken}, errBroken.Error())
}

func TestABatchByKeyEndsWithItsCtx(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	f.set = func(context.Context, string, []byte) error { cancel(); return nil }
	s := wrap(t, f, counts())
	err := s.BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": nil, "c": nil})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, ErrAmbiguous)
	require.Equal(t, 1, f.count(OpSet))
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, Canceled, e.Class)

	ctx, cancel = context.WithCancel(t.Context())
	f.set = func(_ context.Context, key string, _ []byte) error {
		if key == "b" {
			cancel()
			return errBroken
		}
		return nil
	}
	cfg := counts()
	cfg.Classify = func(error) Class { return Refused }
	err = wrap(t, KeepOpen(f), cfg).BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": nil})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, ErrAmbiguous, "a was written, though b was refused")

	ctx, cancel = context.WithCancel(t.Context())
	f.get = func(context.Context, string) ([]byte, error) { cancel(); return nil, nil }
	_, err = s.BatchGetRaw(ctx, []string{"a", "b", "c"})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, f.count(OpGet))
	require.Equal(t, breaker.Closed, s.State())
}

func TestABatchByKeyWritesInTheOrderOfTheKeys(t *testing.T) {
	f := newFake()
	var order []string
	f.set = func(_ context.Context, key string, _ []byte) error { order = append(order, key); return nil }
	kv := map[string][]byte{}
	for _, key := range []string{"e", "a", "d", "b", "c"} {
		kv[key] = []byte(key)
	}
	require.NoError(t, wrap(t, f, quiet()).BatchSetRaw(t.Context(), kv))
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, order)
}
