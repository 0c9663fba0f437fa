package kvprom_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

// constant is a store that answers at once, so that what is measured is what
// stands around it.
type constant struct{ value []byte }

func (c constant) GetRaw(context.Context, string) ([]byte, error) { return c.value, nil }
func (c constant) SetRaw(context.Context, string, []byte) error   { return nil }
func (c constant) Delete(context.Context, string) error           { return nil }
func (c constant) List(context.Context, string) ([]string, error) { return nil, nil }
func (c constant) Health(context.Context) error                   { return nil }
func (c constant) Close() error                                   { return nil }

// guard returns a Store around a constant one, with an observer or none.
func guard(tb testing.TB, o resilient.Observer) *resilient.Store {
	tb.Helper()
	s, err := resilient.Wrap(constant{[]byte("v")}, resilient.Config{
		Timeout: -1, Probe: resilient.Probe{Interval: -1}, Observer: o,
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

func newObserver(tb testing.TB) (*kvprom.Observer, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewRegistry()
	o, err := kvprom.New(reg)
	require.NoError(tb, err)
	return o, reg
}

func TestAnObservedCallAllocatesNothing(t *testing.T) {
	o, _ := newObserver(t)
	s := guard(t, o)
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(200, func() { _, _ = s.GetRaw(ctx, "k") }))
	require.Zero(t, testing.AllocsPerRun(200, func() { _ = s.SetRaw(ctx, "k", nil) }))
}

// BenchmarkGet compares a Get through a Store with an Observer and without, in
// rounds that alternate, and reports medians.
func BenchmarkGet(b *testing.B) {
	o, _ := newObserver(b)
	ways := []*resilient.Store{guard(b, nil), guard(b, nothing{}), guard(b, o)}
	took := make([][]float64, len(ways))
	const calls = 2000
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		for i, s := range ways {
			began := time.Now()
			for range calls {
				if _, err := s.GetRaw(ctx, "user:00000042:profile"); err != nil {
					b.Fatal(err)
				}
			}
			took[i] = append(took[i], float64(time.Since(began))/calls)
		}
	}
	median := func(of []float64) float64 {
		slices.Sort(of)
		return of[len(of)/2]
	}
	none, told, counted := median(took[0]), median(took[1]), median(took[2])
	b.ReportMetric(none, "ns/none")
	b.ReportMetric(told-none, "ns/telling")
	b.ReportMetric(counted-none, "ns/kvprom")
	b.ReportMetric(0, "ns/op")
}

// nothing is an Observer that does nothing.
type nothing struct{}

func (nothing) Observe(context.Context, resilient.Event) {}
