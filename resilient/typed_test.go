package resilient

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

type user struct {
	Name string
	Age  int
}

func TestTypedValuesGoThroughTheirCodec(t *testing.T) {
	ctx := t.Context()
	f := newFake()
	users := Of[user](f, nil)
	require.NoError(t, users.Set(ctx, "u:1", user{"Ada", 36}))
	require.JSONEq(t, `{"Name":"Ada","Age":36}`, string(f.data["u:1"]))
	got, err := users.Get(ctx, "u:1")
	require.NoError(t, err)
	require.Equal(t, user{"Ada", 36}, got)
	keys, err := users.List(ctx, "u:")
	require.NoError(t, err)
	require.Equal(t, []string{"u:1"}, keys)
	require.NoError(t, users.Delete(ctx, "u:1"))
	_, err = users.Get(ctx, "u:1")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestS11_WhatCannotBeEncodedIsNotSentAndNotQuoted(t *testing.T) {
	ctx := t.Context()
	f := newFake()
	err := Of[any](f, JSON).Set(ctx, "k", map[string]any{"secret": func() {}})
	require.Error(t, err)
	require.Empty(t, f.calls)
	var unsupported *json.UnsupportedTypeError
	require.ErrorAs(t, err, &unsupported, "the codec's error is in the chain")
	require.ErrorContains(t, err, "interface {}")

	f.data["n"] = []byte(`{"Age": 1e999}`)
	got, err := Of[user](f, nil).Get(ctx, "n")
	require.Error(t, err)
	require.Zero(t, got)
	require.NotContains(t, err.Error(), "1e999")
	require.ErrorContains(t, err, "resilient.user")
	f.data["n"] = []byte(`{"Name": "Ada", "Age": "half"}`)
	got, err = Of[user](f, nil).Get(ctx, "n")
	require.Error(t, err)
	require.Zero(t, got, "nothing is decoded by half")
}

// schemas is a Codec that looks something up, in vain.
type schemas struct{}

func (schemas) Marshal(any) ([]byte, error)       { return nil, errors.Join(errBroken, ErrNotFound) }
func (s schemas) Unmarshal(_ []byte, _ any) error { _, err := s.Marshal(nil); return err }

func TestRegression_ACodecThatMissesSomethingMakesAKeyLookMissing(t *testing.T) {
	f := newFake()
	f.data["k"] = []byte("v")
	_, err := Of[string](f, schemas{}).Get(t.Context(), "k")
	require.ErrorIs(t, err, errBroken)
	require.NotErrorIs(t, err, ErrNotFound)
}

// reversed is a Codec of strings.
type reversed struct{}

func (reversed) Marshal(v any) ([]byte, error) {
	b := []byte(v.(string))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b, nil
}

func (r reversed) Unmarshal(data []byte, v any) error {
	b, err := r.Marshal(string(data))
	*v.(*string) = string(b)
	return err
}

func TestACodecOfOnesOwn(t *testing.T) {
	f := newFake()
	texts := Of[string](f, reversed{})
	require.NoError(t, texts.Set(t.Context(), "k", "abc"))
	require.Equal(t, "cba", string(f.data["k"]))
	got, err := texts.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "abc", got)
	f.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
	_, err = texts.Get(t.Context(), "k")
	require.True(t, errors.Is(err, errBroken))
}

// hostile is a Codec that panics.
type hostile struct{}

func (hostile) Marshal(any) ([]byte, error) { panic("marshal") }
func (hostile) Unmarshal([]byte, any) error { panic("unmarshal") }

// TestS28_APanicOfACodecIsItsCallersAndHoldsNothing: it runs where the caller
// called, before the call of the store and after it, and so goes on there.
func TestS28_APanicOfACodecIsItsCallersAndHoldsNothing(t *testing.T) {
	cfg := quiet()
	cfg.MaxInFlight = 1
	s := wrap(t, newFake(), cfg)
	require.NoError(t, s.SetRaw(t.Context(), "k", nil))
	texts := Of[string](s, hostile{})
	require.PanicsWithValue(t, "marshal", func() { _ = texts.Set(t.Context(), "k", "v") })
	require.PanicsWithValue(t, "unmarshal", func() { _, _ = texts.Get(t.Context(), "k") })
	require.Zero(t, s.Status().InFlight)
	require.NoError(t, s.SetRaw(t.Context(), "k", nil), "the only place is free")
}
