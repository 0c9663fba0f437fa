package resilient

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// fake is a store in memory whose operations a test replaces one by one.
type fake struct {
	mu     sync.Mutex // guards what is below
	data   map[string][]byte
	calls  []Op
	closes int

	get    func(ctx context.Context, key string) ([]byte, error)
	set    func(ctx context.Context, key string, value []byte) error
	del    func(ctx context.Context, key string) error
	list   func(ctx context.Context, prefix string) ([]string, error)
	health func(ctx context.Context) error
	shut   func() error
}

func newFake() *fake { return &fake{data: map[string][]byte{}} }

func (f *fake) note(op Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op)
}

// count returns how often op was called.
func (f *fake) count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if c == op {
			n++
		}
	}
	return n
}

func (f *fake) keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.data))
}

func (f *fake) GetRaw(ctx context.Context, key string) ([]byte, error) {
	f.note(OpGet)
	if f.get != nil {
		return f.get(ctx, key)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if value, ok := f.data[key]; ok {
		return slices.Clone(value), nil
	}
	return nil, ErrNotFound
}

func (f *fake) SetRaw(ctx context.Context, key string, value []byte) error {
	f.note(OpSet)
	if f.set != nil {
		return f.set(ctx, key, value)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data[key] = slices.Clone(value)
	return nil
}

func (f *fake) Delete(ctx context.Context, key string) error {
	f.note(OpDelete)
	if f.del != nil {
		return f.del(ctx, key)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.data, key)
	return nil
}

func (f *fake) List(ctx context.Context, prefix string) ([]string, error) {
	f.note(OpList)
	if f.list != nil {
		return f.list(ctx, prefix)
	}
	return slices.DeleteFunc(f.keys(), func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

func (f *fake) Health(ctx context.Context) error {
	f.note(OpHealth)
	if f.health != nil {
		return f.health(ctx)
	}
	return nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	f.closes++
	f.mu.Unlock()
	if f.shut != nil {
		return f.shut()
	}
	return nil
}

// batchFake is a fake that is a Batcher.
type batchFake struct {
	*fake
	batchGet func(ctx context.Context, keys []string) (map[string][]byte, error)
	batchSet func(ctx context.Context, kv map[string][]byte) error
	batchDel func(ctx context.Context, keys []string) error
}

func (f *batchFake) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	f.note(OpBatchGet)
	if f.batchGet != nil {
		return f.batchGet(ctx, keys)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	values := map[string][]byte{}
	for _, key := range keys {
		if value, ok := f.data[key]; ok {
			values[key] = slices.Clone(value)
		}
	}
	return values, nil
}

func (f *batchFake) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	f.note(OpBatchSet)
	if f.batchSet != nil {
		return f.batchSet(ctx, kv)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.data, kv)
	return nil
}

func (f *batchFake) BatchDelete(ctx context.Context, keys []string) error {
	f.note(OpBatchDelete)
	if f.batchDel != nil {
		return f.batchDel(ctx, keys)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		delete(f.data, key)
	}
	return nil
}

// recorder is an Observer that keeps what it is told.
type recorder struct {
	mu     sync.Mutex // guards events
	events []Event
}

func (r *recorder) Observe(_ context.Context, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// of returns the events of one kind.
func (r *recorder) of(kind Kind) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []Event
	for _, e := range r.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// quiet is a Config without probing.
func quiet() Config { return Config{Name: "s", Probe: Probe{Interval: -1}} }

// wrap returns a Store that is closed at the end of the test.
func wrap(t testing.TB, kv KVWithHealth, cfg Config) *Store {
	t.Helper()
	s, err := Wrap(kv, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// hangs is a call that ignores nothing: it ends when its ctx does.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// states returns the states that a breaker went through.
func states(r *recorder) []string {
	var to []string
	for _, e := range r.of(KindChange) {
		to = append(to, e.To)
	}
	return to
}

var (
	open     = breaker.Open.String()
	halfOpen = breaker.HalfOpen.String()
	closed   = breaker.Closed.String()
)
