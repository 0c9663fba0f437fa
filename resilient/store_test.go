package resilient

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

func TestAStoreServesWhatItWraps(t *testing.T) {
	for name, kv := range map[string]KVWithHealth{"plain": newFake(), "batcher": &batchFake{fake: newFake()}} {
		t.Run(name, func(t *testing.T) {
			s := wrap(t, kv, Config{})
			ctx := t.Context()
			require.NoError(t, s.SetRaw(ctx, "b", []byte("2")))
			require.NoError(t, s.BatchSetRaw(ctx, map[string][]byte{"a": []byte("1"), "c": nil}))
			value, err := s.GetRaw(ctx, "b")
			require.NoError(t, err)
			require.Equal(t, "2", string(value))
			values, err := s.BatchGetRaw(ctx, []string{"a", "c", "a", "none"})
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"a": []byte("1"), "c": {}}, values)
			keys, err := s.List(ctx, "")
			require.NoError(t, err)
			require.Equal(t, []string{"a", "b", "c"}, keys)
			require.NoError(t, s.Delete(ctx, "b"))
			require.NoError(t, s.BatchDelete(ctx, []string{"a", "none"}))
			keys, err = s.List(ctx, "")
			require.NoError(t, err)
			require.Equal(t, []string{"c"}, keys)
			_, err = s.GetRaw(ctx, "b")
			require.ErrorIs(t, err, ErrNotFound)
			require.NoError(t, s.Health(ctx))
		})
	}
}

func TestS32_WrapNamesEveryFaultAtOnce(t *testing.T) {
	_, err := Wrap(nil, Config{
		MaxInFlight: -1,
		Retry:       Retry{Attempts: -1, Base: 2 * time.Second, Max: time.Second, Budget: math.NaN()},
		Probe: Probe{
			FastInterval: -1, DownInterval: time.Minute, MaxDownInterval: time.Second,
			Timeout: -1, SlowAfter: -1, Jitter: 1.5,
		},
		Breaker: breaker.Config{Rate: 2, Rise: -1},
	})
	require.Error(t, err)
	for _, field := range []string{
		"the store is nil", "Config.MaxInFlight", "Config.Retry.Attempts", "Config.Retry.Max", "Config.Retry.Budget",
		"Config.Probe.FastInterval", "Config.Probe.MaxDownInterval", "Config.Probe.Timeout", "Config.Probe.SlowAfter",
		"Config.Probe.Jitter", "Config.Rate", "Config.Rise",
	} {
		require.ErrorContains(t, err, field)
	}
	_, err = Wrap(newFake(), Config{Retry: Retry{Budget: math.Inf(1)}, Probe: Probe{Jitter: math.NaN()}})
	for _, field := range []string{"Config.Retry.Budget", "Config.Probe.Jitter"} {
		require.ErrorContains(t, err, field)
	}
	_, err = Wrap(newFake(), Config{Retry: Retry{Base: -1, Max: -1}, Probe: Probe{DownInterval: -1, MaxDownInterval: -1}})
	for _, field := range []string{"Config.Retry.Base", "Config.Retry.Max", "Config.Probe.DownInterval", "Config.Probe.MaxDownInterval"} {
		require.ErrorContains(t, err, field)
	}
}

func TestS32_WrapRefusesANilPointerInAnInterface(t *testing.T) {
	var kv *fake
	_, err := Wrap(kv, Config{})
	require.ErrorContains(t, err, "the store is nil")
	for _, kv := range []KVWithHealth{NoHealth(nil), NoHealth(kv), KeepOpen(nil), KeepOpen(kv), Detach(nil, 1), Detach(kv, 1)} {
		require.Nil(t, kv)
		_, err := Wrap(kv, Config{})
		require.ErrorContains(t, err, "the store is nil")
	}
}

func TestDefaultsAreThoseWrittenBesideTheFields(t *testing.T) {
	c := Config{}.withDefaults()
	require.Equal(t, 2*time.Second, c.timeout(OpGet))
	require.Equal(t, 20*time.Second, c.timeout(OpList))
	require.Equal(t, 20*time.Second, c.timeout(OpBatchSet))
	require.Equal(t, 20*time.Second, c.Breaker.Lease)
	require.Equal(t, Retry{Base: 10 * time.Millisecond, Max: time.Second, Budget: 0.2}, c.Retry)
	require.Equal(t, Probe{
		Interval: 5 * time.Second, FastInterval: time.Second, DownInterval: 2 * time.Second, MaxDownInterval: 30 * time.Second,
		Timeout: 2 * time.Second, SlowAfter: time.Second, Jitter: 0.25,
	}, c.Probe)

	none := Config{Timeout: -1}.withDefaults()
	require.Zero(t, none.timeout(OpGet))
	require.Zero(t, none.timeout(OpList))
	require.Zero(t, Config{LongTimeout: -1}.withDefaults().LongTimeout)
	require.Zero(t, Config{Probe: Probe{Jitter: -1}}.withDefaults().Probe.Jitter)
	require.Equal(t, 50*time.Millisecond, Config{Probe: Probe{Interval: 50 * time.Millisecond}}.withDefaults().Probe.FastInterval)
	require.Equal(t, time.Minute, Config{Probe: Probe{DownInterval: time.Minute}}.withDefaults().Probe.MaxDownInterval)
	require.Equal(t, 50*time.Millisecond, Config{Probe: Probe{Timeout: 100 * time.Millisecond}}.withDefaults().Probe.SlowAfter)
}

func TestS5_KeysAreCheckedBeforeAnythingIsSent(t *testing.T) {
	ctx := t.Context()
	long := strings.Repeat("k", 513)
	for name, kv := range map[string]func(*fake) KVWithHealth{
		"plain":   func(f *fake) KVWithHealth { return f },
		"batcher": func(f *fake) KVWithHealth { return &batchFake{fake: f} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			s := wrap(t, kv(f), quiet())
			for key, want := range map[string]error{"": ErrEmptyKey, "\x00": ErrInvalidKey, "\xff": ErrInvalidKey, long: ErrKeyTooLarge} {
				_, err := s.GetRaw(ctx, key)
				require.ErrorIs(t, err, want)
				require.ErrorIs(t, s.SetRaw(ctx, key, nil), want)
				require.ErrorIs(t, s.Delete(ctx, key), want)
				_, err = s.BatchGetRaw(ctx, []string{"good", key})
				require.ErrorIs(t, err, want)
				require.ErrorIs(t, s.BatchSetRaw(ctx, map[string][]byte{"good": nil, key: nil}), want)
				require.ErrorIs(t, s.BatchDelete(ctx, []string{"good", key}), want)
			}
			require.Empty(t, f.calls)
		})
	}
}

func TestConfigKeysReplacesTheKeyDomainButNotTheEmptyKey(t *testing.T) {
	odd := errors.New("odd")
	cfg := quiet()
	cfg.Keys = func(key string) error {
		if len(key)%2 == 1 {
			return odd
		}
		return nil
	}
	f := newFake()
	s := wrap(t, f, cfg)
	require.ErrorIs(t, s.SetRaw(t.Context(), "a", nil), odd)
	require.NoError(t, s.SetRaw(t.Context(), "\x00\xff", nil))
	require.ErrorIs(t, s.SetRaw(t.Context(), "", nil), ErrEmptyKey)
	require.Equal(t, []string{"\x00\xff"}, f.keys())
}

// limitedFake is a fake with limits.
type limitedFake struct{ *fake }

func (limitedFake) Limits() Limits { return Limits{MaxKey: 4, MaxValue: 3} }

func TestS16_LimitsOfTheStoreAreCheckedBeforeAnythingIsSent(t *testing.T) {
	ctx := t.Context()
	f := newFake()
	s := wrap(t, limitedFake{f}, quiet())
	require.Equal(t, Limits{MaxKey: 4, MaxValue: 3}, s.Limits())
	require.ErrorIs(t, s.SetRaw(ctx, "12345", nil), ErrKeyTooLarge)
	require.ErrorIs(t, s.SetRaw(ctx, "1234", []byte("1234")), ErrValueTooLarge)
	require.ErrorIs(t, s.BatchSetRaw(ctx, map[string][]byte{"a": nil, "b": []byte("1234")}), ErrValueTooLarge)
	_, err := s.GetRaw(ctx, "12345")
	require.ErrorIs(t, err, ErrKeyTooLarge)
	require.Empty(t, f.calls)
	require.NoError(t, s.SetRaw(ctx, "1234", []byte("123")))
}

func TestACtxThatHasEndedHasNoEffect(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFake()
	s := wrap(t, f, quiet())
	_, err := s.GetRaw(canceled, "k")
	require.ErrorIs(t, err, context.Canceled)
	err = s.SetRaw(canceled, "k", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrAmbiguous)
	require.ErrorIs(t, s.Delete(canceled, "k"), context.Canceled)
	_, err = s.List(canceled, "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.BatchGetRaw(canceled, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.BatchSetRaw(canceled, nil), context.Canceled)
	require.ErrorIs(t, s.BatchDelete(canceled, nil), context.Canceled)
	require.ErrorIs(t, s.Health(canceled), context.Canceled)
	require.Empty(t, f.calls)
	require.NoError(t, s.SetRaw(t.Context(), "k", nil), "and the next call is not the worse for it")
}

func TestAnEmptyBatchDoesNothing(t *testing.T) {
	ctx := t.Context()
	f := newFake()
	s := wrap(t, &batchFake{fake: f}, quiet())
	values, err := s.BatchGetRaw(ctx, nil)
	require.NoError(t, err)
	require.NotNil(t, values)
	require.Empty(t, values)
	require.NoError(t, s.BatchSetRaw(ctx, map[string][]byte{}))
	require.NoError(t, s.BatchDelete(ctx, []string{}))
	require.Empty(t, f.calls)
	require.NoError(t, s.Close())
	_, err = s.BatchGetRaw(ctx, nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.BatchSetRaw(ctx, nil), ErrClosed)
	require.ErrorIs(t, s.BatchDelete(ctx, nil), ErrClosed)
}

func TestANilAnswerOfAForeignStoreIsAnEmptyOne(t *testing.T) {
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { return nil, nil }
	f.list = func(context.Context, string) ([]string, error) { return nil, nil }
	b := &batchFake{fake: f, batchGet: func(context.Context, []string) (map[string][]byte, error) { return nil, nil }}
	s := wrap(t, b, quiet())
	value, err := s.GetRaw(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, []byte{}, value)
	keys, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{}, keys)
	values, err := s.BatchGetRaw(t.Context(), []string{"k"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{}, values)
}

func TestANilValueIsGivenToTheStoreAsAnEmptyOne(t *testing.T) {
	f := newFake()
	f.set = func(_ context.Context, _ string, value []byte) error {
		require.NotNil(t, value)
		return nil
	}
	b := &batchFake{fake: f, batchSet: func(_ context.Context, kv map[string][]byte) error {
		require.NotNil(t, kv["n"])
		return nil
	}}
	given := map[string][]byte{"n": nil, "v": []byte("v")}
	require.NoError(t, wrap(t, f, quiet()).SetRaw(t.Context(), "k", nil))
	require.NoError(t, wrap(t, b, quiet()).BatchSetRaw(t.Context(), given))
	require.Nil(t, given["n"], "the caller's map is the caller's")
}

func TestAValueThatComesWithAnErrorIsNotGivenOn(t *testing.T) {
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { return []byte("half"), errors.New("broken") }
	f.list = func(context.Context, string) ([]string, error) { return []string{"half"}, errors.New("broken") }
	b := &batchFake{fake: f, batchGet: func(context.Context, []string) (map[string][]byte, error) {
		return map[string][]byte{"k": []byte("half")}, errors.New("broken")
	}}
	s := wrap(t, b, quiet())
	value, err := s.GetRaw(t.Context(), "k")
	require.Error(t, err)
	require.Nil(t, value)
	keys, err := s.List(t.Context(), "")
	require.Error(t, err)
	require.Nil(t, keys)
	values, err := s.BatchGetRaw(t.Context(), []string{"k"})
	require.Error(t, err)
	require.Nil(t, values)
}

func TestAListIsSortedUniqueAndFilteredWhateverTheStoreAnswers(t *testing.T) {
	f := newFake()
	own := []string{"b", "p/2", "p/1", "P/3", "p/1", "p"}
	f.list = func(context.Context, string) ([]string, error) { return own, nil }
	s := wrap(t, f, quiet())
	keys, err := s.List(t.Context(), "p/")
	require.NoError(t, err)
	require.Equal(t, []string{"p/1", "p/2"}, keys)
	require.Equal(t, []string{"b", "p/2", "p/1", "P/3", "p/1", "p"}, own, "the store's slice is left alone")

	ordered := []string{"p/1", "p/2"}
	f.list = func(context.Context, string) ([]string, error) { return ordered, nil }
	keys, err = s.List(t.Context(), "p/")
	require.NoError(t, err)
	require.Same(t, &ordered[0], &keys[0], "what is in order is not copied")
}

type namedStore struct{ *fake }

type Store2[T any] struct{ *fake }

func TestAStoreWithoutANameIsCalledAfterItsBackend(t *testing.T) {
	f := newFake()
	inner := wrap(t, f, quiet())
	for want, kv := range map[string]KVWithHealth{
		"fake":       f,
		"store":      struct{ *fake }{f},
		"namedstore": namedStore{f},
		"store2":     &Store2[int]{f},
	} {
		for _, kv := range []KVWithHealth{kv, Detach(kv, 0), KeepOpen(NoHealth(kv)), Detach(KeepOpen(kv), 0)} {
			s := wrap(t, KeepOpen(kv), Config{Probe: Probe{Interval: -1}})
			require.Equal(t, want, s.Name())
			require.Equal(t, want, s.Status().Kind)
		}
	}
	s := wrap(t, KeepOpen(inner), quiet())
	require.Equal(t, "s", s.Name())
	require.Equal(t, "fake", s.Status().Kind)
}

func TestABackendNameLeavesOutTheEndingOfItsPackage(t *testing.T) {
	for typ, want := range map[string]string{
		"rediskv.KV": "redis", "boltkv.Other": "bolt", "kv.Thing": "thing", "redis.Client": "redis", "mem.Store": "mem",
		"local.Bolt": "bolt", "failover.KV": "failover", "store": "store",
	} {
		require.Equal(t, want, shortName(typ), typ)
	}
}

// outsider is a decorator that nobody wrote for Holdfast.
type outsider struct {
	KVWithHealth
	inside KV
}

func (o outsider) Unwrap() KV { return o.inside }

func TestRootLooksThroughEveryKindOfDecorator(t *testing.T) {
	f := newFake()
	require.Same(t, f, KeepOpen(f).(interface{ Unwrap() KVWithHealth }).Unwrap())
	require.Same(t, f, Root(outsider{inside: NoHealth(f)}))
	require.Same(t, f, Root(wrap(t, outsider{f, Detach(f, 0)}, quiet())))
	hung := Detach(f, 0)
	require.NotNil(t, leftoverOf(outsider{inside: hung}))
	require.Nil(t, leftoverOf(outsider{inside: KeepOpen(f)}))
}

func TestAStoreCanWrapAStore(t *testing.T) {
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { return nil, errors.New("broken") }
	inner := wrap(t, f, quiet())
	outer := wrap(t, KeepOpen(inner), quiet())
	require.NoError(t, outer.SetRaw(t.Context(), "k", []byte("v")))
	_, err := outer.GetRaw(t.Context(), "k")
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotErrorIs(t, err, ErrRefused)
	require.NoError(t, inner.Breaker().Force(breaker.Open, "test"))
	for range 20 {
		_, err = outer.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrRefused)
	}
	require.Equal(t, breaker.Closed, outer.State(), "a refusal of ours is no evidence")
}
