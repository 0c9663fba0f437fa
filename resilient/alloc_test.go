package resilient

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// allocs returns the allocations of one call.
func allocs(call func()) float64 { return testing.AllocsPerRun(200, call) }

func TestAGuardedCallAllocatesNothing(t *testing.T) {
	kv := &constant{fake: newFake(), value: []byte("v")}
	cfg := quiet()
	cfg.Timeout = -1
	s := wrap(t, kv, cfg)
	m, err := s.Join("g", Hooks{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "user:00000042") }))
	require.Zero(t, allocs(func() { _, _ = m.GetRaw(ctx, "user:00000042") }))
}

func TestARetryingStoreWithABoundAndAnObserverAllocatesNothingWhileAllIsWell(t *testing.T) {
	kv := &constant{fake: newFake(), value: []byte("v")}
	cfg := quiet()
	cfg.Timeout, cfg.MaxInFlight, cfg.Retry.Attempts = -1, 10, 3
	cfg.Observer = observer(func(context.Context, Event) {})
	s := wrap(t, kv, cfg)
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(context.Background(), "k") }))
}

func TestATimeoutCostsOneAllocationAndNoneIfTheCallersComesFirst(t *testing.T) {
	kv := &constant{fake: newFake(), value: []byte("v")}
	s := wrap(t, kv, quiet())
	require.LessOrEqual(t, allocs(func() { _, _ = s.GetRaw(context.Background(), "k") }), 1.0)
	ctx, cancel := context.WithTimeout(t.Context(), s.cfg.Timeout/2)
	defer cancel()
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "k") }))
}

// misser is a store that has nothing.
type misser struct{ *fake }

func (misser) GetRaw(context.Context, string) ([]byte, error) { return nil, ErrNotFound }

func TestAMissAllocatesNothing(t *testing.T) {
	cfg := quiet()
	cfg.Timeout = -1
	for _, also := range []error{nil, errBroken} {
		cfg.NotFound = also
		s := wrap(t, misser{newFake()}, cfg)
		require.Zero(t, allocs(func() { _, _ = s.GetRaw(context.Background(), "k") }))
	}
}

func TestARefusalAllocatesNothing(t *testing.T) {
	cfg := quiet()
	cfg.MaxInFlight, cfg.Retry.Attempts = 1, 3
	s := wrap(t, newFake(), cfg)
	require.NoError(t, s.Breaker().Force(breaker.Open, "test"))
	ctx := context.Background()
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "k") }), "open")
	require.Zero(t, allocs(func() { _ = s.SetRaw(ctx, "k", nil) }), "open")
	s.inFlight.Store(1)
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "k") }), "busy")
	s.inFlight.Store(0)
	require.NoError(t, s.Close())
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "k") }), "closed")
	require.Zero(t, allocs(func() { _, _ = s.GetRaw(ctx, "") }), "bad key")
}

func TestKeyChecksAllocateNothing(t *testing.T) {
	for _, key := range []string{"user:00000042:profile", "日本語", "\x00", "", "12345678\xff"} {
		require.Zero(t, allocs(func() { _ = CheckKey(key) }))
	}
}
