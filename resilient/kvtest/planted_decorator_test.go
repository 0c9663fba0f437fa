package kvtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

// mem returns a harness of good stores.
func mem() Harness {
	return Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
		kv, err := memkv.New(memkv.Config{MaxValue: 2 << 20})
		require.NoError(tb, err)
		return kv
	}}
}

// lasting returns a harness whose stores outlive their clients. What Reopen and
// Second return is changed by again.
func lasting(again func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth) Harness {
	var last resilient.KVWithHealth
	next := func(tb testing.TB) resilient.KVWithHealth { return resilient.KeepOpen(again(tb, last)) }
	h := mem()
	open := h.Open
	h.Open = func(tb testing.TB) resilient.KVWithHealth {
		last = open(tb)
		return resilient.KeepOpen(last)
	}
	h.Reopen, h.Second = next, next
	return h
}

func same(_ testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth { return kv }

func TestADurableStoreWithSeveralClientsPasses(t *testing.T) { Run(t, lasting(same)) }

// forgetful loses a key when it is opened again.
func forgetful(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
	keys, err := kv.List(tb.Context(), "")
	require.NoError(tb, err)
	if len(keys) > 0 {
		require.NoError(tb, kv.Delete(tb.Context(), keys[len(keys)-1]))
	}
	return kv
}

// resurrecting brings a deleted key back when it is opened again.
func resurrecting(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
	require.NoError(tb, kv.SetRaw(tb.Context(), "gone", nil))
	return kv
}

// refusing returns a harness whose stores may refuse keys with a slash in them
// and twist how they do it.
func refusing(t *testing.T, twist func(*twisted)) Harness {
	h := twistedHarness(t, func(w *twisted, _ <-chan struct{}) { twist(w) })
	h.SkipKeys = func(key string) bool { return strings.Contains(key, "/") }
	return h
}

func TestAStoreMayRefuseOrServeTheKeysToSkip(t *testing.T) {
	h := refusing(t, func(*twisted) {})
	require.Empty(t, runCase(t, h, "Keys/DoubleSlash"), "it serves them")
	h = refusing(t, (*twisted).refuseSlashes)
	require.Empty(t, runCase(t, h, "Keys/DoubleSlash"), "it refuses them")
	require.Empty(t, runCase(t, h, "List/PrefixWithSeparator"))
	require.Empty(t, runCase(t, h, "Model/RandomOps_vs_MapModel"))
}

// refuseSlashes makes w refuse keys with a slash, everywhere and before any
// effect.
func (w *twisted) refuseSlashes() {
	check := func(keys ...string) error {
		for _, key := range keys {
			if strings.Contains(key, "/") {
				return resilient.ErrInvalidKey
			}
		}
		return nil
	}
	w.set = func(ctx context.Context, key string, value []byte) error {
		return orCall(check(key), func() error { return w.KV.SetRaw(ctx, key, value) })
	}
	w.del = func(ctx context.Context, key string) error {
		return orCall(check(key), func() error { return w.KV.Delete(ctx, key) })
	}
	w.get = func(ctx context.Context, key string) ([]byte, error) {
		if err := check(key); err != nil {
			return nil, err
		}
		return w.KV.GetRaw(ctx, key)
	}
	w.batchGet = func(ctx context.Context, keys []string) (map[string][]byte, error) {
		if err := check(keys...); err != nil {
			return nil, err
		}
		return w.KV.BatchGetRaw(ctx, keys)
	}
	w.batchDel = func(ctx context.Context, keys []string) error {
		return orCall(check(keys...), func() error { return w.KV.BatchDelete(ctx, keys) })
	}
	w.batchSet = func(ctx context.Context, kv map[string][]byte) error {
		for key := range kv {
			if err := check(key); err != nil {
				return err
			}
		}
		return w.KV.BatchSetRaw(ctx, kv)
	}
}

func orCall(err error, call func() error) error {
	if err != nil {
		return err
	}
	return call()
}

// faulty decorators, each with a case of decoratorCases that must fail of it.
var plantedDecorators = []struct {
	name, path string
	wrap       func(kv resilient.KVWithHealth) resilient.KVWithHealth
}{
	{"hides batches and limits", "PreservesCapabilities", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &observed{kv: kv}
	}},
	{"has no Unwrap", "UnwrapReachesBackend", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &observed{kv: kv}
	}},
	{"closes the store each time", "CloseOnce", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &observed{kv: kv}
	}},
	{"drops the error of Close", "CloseTellsTheStoresError", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"makes a ctx of its own", "CtxPassThrough", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"hides the store's error", "SentinelsPassThrough", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"tells an outage as a miss", "BackendErrorPropagates", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"retries a write whose answer was lost", "LostAnswer_IsAmbiguous", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"cannot be left", "HungStore_CallersLeaveWhenTheirCtxEnds", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv}
	}},
	{"waits for its calls before it closes the store", "HungStore_CloseEndsCalls", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &careless{kv: kv, slow: true}
	}},
	{"cannot leave a deaf store", "DeafStore_CallersLeaveWhenTheirCtxEnds", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return resilient.KeepOpen(kv)
	}},
	{"asks the store about bad keys", "NoIO_ForWhatNeedsNone", func(kv resilient.KVWithHealth) resilient.KVWithHealth {
		return resilient.Detach(kv, 0)
	}},
}

// careless is a decorator that does several things wrong.
type careless struct {
	kv   resilient.KVWithHealth
	slow bool // Close waits for calls
	busy chan struct{}
}

func (c *careless) GetRaw(_ context.Context, key string) ([]byte, error) {
	value, err := c.kv.GetRaw(context.Background(), key)
	if err != nil {
		return nil, resilient.ErrNotFound
	}
	return value, nil
}

func (c *careless) SetRaw(_ context.Context, key string, value []byte) error {
	c.busy = make(chan struct{})
	defer close(c.busy)
	err := c.kv.SetRaw(context.Background(), key, value)
	if errors.Is(err, resilient.ErrAmbiguous) {
		return c.kv.SetRaw(context.Background(), key, value)
	}
	return err
}

func (c *careless) Delete(_ context.Context, key string) error {
	return c.kv.Delete(context.Background(), key)
}

func (c *careless) List(_ context.Context, prefix string) ([]string, error) {
	return c.kv.List(context.Background(), prefix)
}

func (c *careless) Health(ctx context.Context) error { return c.kv.Health(ctx) }

func (c *careless) Close() error {
	if c.slow && c.busy != nil {
		<-c.busy
	}
	_ = c.kv.Close()
	return nil
}

// plantedElsewhere checks the mistakes that need a harness or a runner of their
// own and returns how many there are and how many were caught.
func plantedElsewhere(t *testing.T) (all, caught int) {
	check := func(name, failure string) {
		all++
		if t.Run(name, func(t *testing.T) { require.NotEmpty(t, failure, "passed") }) {
			caught++
		}
	}
	check("two stores are one", runCase(t, sharedHarness(t), "Basic/TwoNamespacesIsolated"))
	check("two stores list one another", runCase(t, sharedHarness(t), "List/DoesNotReturnOtherNamespaces"))
	check("a write is lost when the store is opened again", runCase(t, lasting(forgetful), "Basic/PersistsAcrossReopen"))
	check("a deleted key is back when the store is opened again", runCase(t, lasting(resurrecting), "Basic/PersistsAcrossReopen"))
	check("the model meets a store that forgets", runCase(t, lasting(forgetful), "Model/RandomOps_vs_MapModel"))
	check("the store cannot be opened often", runCase(t, lasting(forgetful), "Lifecycle/ReopenAfterClose"))
	check("a second client sees a copy", runCase(t, lasting(func(tb testing.TB, _ resilient.KVWithHealth) resilient.KVWithHealth {
		return mem().Open(tb)
	}), "Basic/TwoClientsSeeEachOther"))
	check("a refused key is stored", runCase(t, refusing(t, func(w *twisted) {
		w.set = func(ctx context.Context, key string, value []byte) error {
			err := w.KV.SetRaw(ctx, key, value)
			if strings.Contains(key, "/") {
				return resilient.ErrInvalidKey
			}
			return err
		}
	}), "Keys/DoubleSlash"))
	check("a key is refused by Set only", runCase(t, refusing(t, func(w *twisted) {
		w.refuseSlashes()
		w.get = nil
	}), "Keys/DoubleSlash"))
	check("a key is refused with an error of the driver", runCase(t, refusing(t, func(w *twisted) {
		w.refuseSlashes()
		set := w.set
		w.set = func(ctx context.Context, key string, value []byte) error {
			if err := set(ctx, key, value); err != nil {
				return errPlanted
			}
			return nil
		}
	}), "Keys/DoubleSlash"))
	check("two stores differ", record(t, func(tb testing.TB) {
		fold := twistedHarness(t, func(w *twisted, _ <-chan struct{}) { w.rekey(func(key string) string { return key + "_" }) })
		sideBySide(impatient(tb, mem()), func(string) bool { return false }, mem(), fold)
	}))
	for _, p := range plantedDecorators {
		d := decorator{name: p.name, checks: true, leaves: true, wrap: func(_ testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
			return p.wrap(kv)
		}}
		for _, c := range decoratorCases(d) {
			if c.name == p.path {
				check(p.name, record(t, func(tb testing.TB) { c.run(impatient(tb, mem())) }))
			}
		}
	}
	require.Equal(t, 11+len(plantedDecorators), all, "each has a case")
	return all, caught
}

// sharedHarness opens one store again and again.
func sharedHarness(t *testing.T) Harness {
	kv := mem().Open(t)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	return Harness{Open: func(testing.TB) resilient.KVWithHealth { return resilient.KeepOpen(kv) }}
}
