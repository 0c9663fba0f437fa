package kvtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

// patience is how long a case waits for what should come at once. It is only
// ever used up by a store that hangs.
const patience = time.Minute

// env is what a case runs in.
type env struct {
	testing.TB
	h        Harness
	short    bool
	patience time.Duration
}

func newEnv(tb testing.TB, h Harness, short bool) *env {
	return &env{TB: tb, h: h, short: short, patience: patience}
}

// size returns full, or few with -short.
func (e *env) size(full, few int) int {
	if e.short {
		return few
	}
	return full
}

// open returns a fresh store that is closed when the case ends.
func (e *env) open() *store {
	e.Helper()
	return e.use(e.h.Open(e.TB))
}

// reopen closes s and returns the store that is found in its place.
func (e *env) reopen(s *store) *store {
	e.Helper()
	require.NoError(e, s.kv.Close(), "Close")
	return e.use(e.h.Reopen(e.TB))
}

func (e *env) use(kv resilient.KVWithHealth) *store {
	e.Helper()
	require.NotNil(e, kv, "the harness returned no store")
	e.Cleanup(func() {
		if _, ok := e.within(kv.Close); !ok {
			e.Errorf("Close has not returned after %v", e.patience)
		}
	})
	s := &store{env: e, kv: kv}
	s.batch, _ = kv.(resilient.Batcher)
	return s
}

// mayRefuse reports whether the store need not take key.
func (e *env) mayRefuse(key string) bool { return e.h.SkipKeys != nil && e.h.SkipKeys(key) }

// finishes runs fn on a goroutine of its own and fails if it takes longer than
// patience. fn must not end the test.
func (e *env) finishes(what string, fn func() error) error {
	e.Helper()
	err, ok := e.within(fn)
	if !ok {
		require.FailNow(e, fmt.Sprintf("%s has not returned after %v", what, e.patience), "%s", stacks())
	}
	return err
}

// within runs fn on a goroutine of its own; ok is false if it takes longer than
// patience.
func (e *env) within(fn func() error) (err error, ok bool) {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	timer := time.NewTimer(e.patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err, true
	case <-timer.C:
		return nil, false
	}
}

// stacks returns what every goroutine does.
func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// eventually fails if ok does not come true within patience.
func (e *env) eventually(what string, ok func() bool) {
	e.Helper()
	deadline := time.Now().Add(e.patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			require.FailNow(e, fmt.Sprintf("%s: still not so after %v", what, e.patience), "%s", stacks())
		}
		<-tick.C
	}
}

// store is a store under test whose helpers end the case if the store fails.
type store struct {
	*env
	kv    resilient.KVWithHealth
	batch resilient.Batcher // nil if it is none
}

func (s *store) set(key string, value []byte) {
	s.Helper()
	require.NoError(s, s.kv.SetRaw(s.Context(), key, value), "SetRaw(%q)", short(key))
}

func (s *store) get(key string) []byte {
	s.Helper()
	value, err := s.kv.GetRaw(s.Context(), key)
	require.NoError(s, err, "GetRaw(%q)", short(key))
	require.NotNil(s, value, "GetRaw(%q): a nil value must come with an error", short(key))
	return value
}

// holds checks that key has value, by a Get and, if there is one, by a batch.
func (s *store) holds(key string, value []byte) {
	s.Helper()
	require.True(s, string(value) == string(s.get(key)), "GetRaw(%q) returned another value than was set", short(key))
	if s.batch == nil {
		return
	}
	got, ok := s.batchGet(key)[key]
	require.True(s, ok, "BatchGetRaw(%q): the key is absent", short(key))
	require.NotNil(s, got, "BatchGetRaw(%q): nil value", short(key))
	require.True(s, string(value) == string(got), "BatchGetRaw(%q) returned another value than was set", short(key))
}

// lacks checks that keys are not there.
func (s *store) lacks(keys ...string) {
	s.Helper()
	for _, key := range keys {
		value, err := s.kv.GetRaw(s.Context(), key)
		require.ErrorIs(s, err, resilient.ErrNotFound, "GetRaw(%q)", short(key))
		require.Nil(s, value, "GetRaw(%q): a value beside ErrNotFound", short(key))
	}
}

func (s *store) del(key string) {
	s.Helper()
	require.NoError(s, s.kv.Delete(s.Context(), key), "Delete(%q)", short(key))
}

func (s *store) list(prefix string) []string {
	s.Helper()
	keys, err := s.kv.List(s.Context(), prefix)
	require.NoError(s, err, "List(%q)", short(prefix))
	require.NotNil(s, keys, "List(%q): nil without an error", short(prefix))
	return keys
}

func (s *store) batchGet(keys ...string) map[string][]byte {
	s.Helper()
	values, err := s.batch.BatchGetRaw(s.Context(), keys)
	require.NoError(s, err, "BatchGetRaw of %d keys", len(keys))
	require.NotNil(s, values, "BatchGetRaw: nil without an error")
	return values
}

func (s *store) batchSet(kv map[string][]byte) {
	s.Helper()
	require.NoError(s, s.batch.BatchSetRaw(s.Context(), kv), "BatchSetRaw of %d keys", len(kv))
}

func (s *store) batchDel(keys ...string) {
	s.Helper()
	require.NoError(s, s.batch.BatchDelete(s.Context(), keys), "BatchDelete of %d keys", len(keys))
}

// operation is one method of a store, called for its error.
type operation struct {
	name string
	op   resilient.Op
	run  func(ctx context.Context, key string, value []byte) error
}

// operations returns every method of s. Those that answer something fail the
// case if they answer beside an error.
func (s *store) operations() []operation {
	ops := []operation{
		{"Get", resilient.OpGet, func(ctx context.Context, key string, _ []byte) error {
			value, err := s.kv.GetRaw(ctx, key)
			return alone(err, value != nil)
		}},
		{"Set", resilient.OpSet, func(ctx context.Context, key string, value []byte) error {
			return s.kv.SetRaw(ctx, key, value)
		}},
		{"Delete", resilient.OpDelete, func(ctx context.Context, key string, _ []byte) error {
			return s.kv.Delete(ctx, key)
		}},
		{"List", resilient.OpList, func(ctx context.Context, key string, _ []byte) error {
			keys, err := s.kv.List(ctx, key)
			return alone(err, len(keys) > 0)
		}},
		{"Health", resilient.OpHealth, func(ctx context.Context, _ string, _ []byte) error {
			return s.kv.Health(ctx)
		}},
	}
	if s.batch == nil {
		return ops
	}
	return append(ops,
		operation{"BatchGet", resilient.OpBatchGet, func(ctx context.Context, key string, _ []byte) error {
			values, err := s.batch.BatchGetRaw(ctx, []string{key})
			return alone(err, values != nil)
		}},
		operation{"BatchSet", resilient.OpBatchSet, func(ctx context.Context, key string, value []byte) error {
			return s.batch.BatchSetRaw(ctx, map[string][]byte{key: value})
		}},
		operation{"BatchDelete", resilient.OpBatchDelete, func(ctx context.Context, key string, _ []byte) error {
			return s.batch.BatchDelete(ctx, []string{key})
		}},
	)
}

// alone returns err, or that there was an answer beside it.
func alone(err error, answered bool) error {
	if err != nil && answered {
		return fmt.Errorf("an answer came beside the error %v", err)
	}
	return err
}

// short returns key fit for a message.
func short(key string) string {
	if len(key) > 60 {
		return fmt.Sprintf("%s... (%d bytes)", key[:50], len(key))
	}
	return key
}

// noise returns n bytes that do not compress and that differ between seeds.
func noise(seed, n int) []byte {
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// numbered returns n keys with values of size bytes each.
func numbered(prefix string, n, size int) map[string][]byte {
	kv := make(map[string][]byte, n)
	for i := range n {
		kv[fmt.Sprintf("%s%06d", prefix, i)] = noise(i, size)
	}
	return kv
}
