package resilient

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// capable is a batchFake with every other capability.
type capable struct{ *batchFake }

func (capable) Classify(error) Class { return Conflict }
func (capable) Limits() Limits       { return Limits{MaxKey: 7, MaxValue: 9} }

func decorators() map[string]func(KVWithHealth) KVWithHealth {
	return map[string]func(KVWithHealth) KVWithHealth{
		"NoHealth": func(kv KVWithHealth) KVWithHealth { return NoHealth(kv) },
		"KeepOpen": KeepOpen,
		"Detach":   func(kv KVWithHealth) KVWithHealth { return Detach(kv, 0) },
	}
}

func TestDecoratorsForwardWhatAStoreCanAndInventNothing(t *testing.T) {
	for name, decorate := range decorators() {
		t.Run(name, func(t *testing.T) {
			plain := decorate(newFake())
			_, batches := plain.(Batcher)
			require.False(t, batches)
			require.Equal(t, OK, plain.(Classifier).Classify(errBroken), "don't know")
			require.Zero(t, plain.(Limited).Limits(), "unknown")
			require.NoError(t, plain.Close())

			full := decorate(capable{&batchFake{fake: newFake()}})
			_, batches = full.(Batcher)
			require.True(t, batches)
			require.Equal(t, Conflict, full.(Classifier).Classify(errBroken))
			require.Equal(t, Limits{MaxKey: 7, MaxValue: 9}, full.(Limited).Limits())
			require.NoError(t, full.Close())
		})
	}
}

func TestDecoratorsPassEveryCallOnAndRefuseAfterClose(t *testing.T) {
	for name, decorate := range decorators() {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			f := &batchFake{fake: newFake()}
			kv := decorate(f)
			b := kv.(Batcher)
			use := func(want error) {
				_, get := kv.GetRaw(ctx, "b")
				_, list := kv.List(ctx, "")
				_, batch := b.BatchGetRaw(ctx, []string{"a"})
				for _, err := range []error{
					kv.SetRaw(ctx, "b", nil), get, list, kv.Delete(ctx, "b"),
					b.BatchSetRaw(ctx, map[string][]byte{"a": nil}), batch, b.BatchDelete(ctx, []string{"a"}),
				} {
					require.True(t, err == nil && want == nil || errors.Is(err, want) || errors.Is(err, ErrNotFound) && want == nil, "%v", err)
				}
			}
			use(nil)
			require.ElementsMatch(t, []Op{OpGet, OpList, OpBatchGet, OpSet, OpDelete, OpBatchSet, OpBatchDelete}, f.calls)
			require.NoError(t, kv.Close())
			require.NoError(t, kv.Close())
			f.calls = nil
			use(ErrClosed)
			require.ErrorIs(t, kv.Health(ctx), ErrClosed)
			require.Empty(t, f.calls)
		})
	}
}

func TestKeepOpenKeepsTheStoreOpen(t *testing.T) {
	f := newFake()
	f.health = hangs
	kv := KeepOpen(f)
	require.NoError(t, kv.Close())
	require.Zero(t, f.closes)
	require.NoError(t, f.SetRaw(t.Context(), "k", nil))

	f = newFake()
	f.shut = func() error { return errBroken }
	for _, kv := range []KVWithHealth{NoHealth(f), Detach(f, 0)} {
		f.closes = 0
		require.Equal(t, errBroken, kv.Close())
		require.Equal(t, errBroken, kv.Close())
		require.Equal(t, 1, f.closes)
	}
}

func TestNoHealthIsNeverHealthyAndNeverEvidence(t *testing.T) {
	f := newFake()
	kv := NoHealth(f)
	require.Equal(t, ErrHealthUnknown, kv.Health(t.Context()))
	require.Zero(t, f.count(OpHealth), "not even if it has one")
	require.False(t, Group{"a": kv}.AllHealthy(t.Context()))
}
