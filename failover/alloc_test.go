package failover_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// constant is a store that answers every call at once, without allocating.
type constant struct{ value []byte }

func (c *constant) GetRaw(context.Context, string) ([]byte, error) { return c.value, nil }
func (c *constant) SetRaw(context.Context, string, []byte) error   { return nil }
func (c *constant) Delete(context.Context, string) error           { return nil }
func (c *constant) List(context.Context, string) ([]string, error) { return []string{}, nil }
func (c *constant) Health(context.Context) error                   { return nil }
func (c *constant) Close() error                                   { return nil }

// constantGroup is a group of two constant stores without time-outs.
func constantGroup(tb testing.TB) *failover.KV {
	kv, err := failover.New(failover.Config{
		Writes: failover.Mirror, Complete: true,
		Member: resilient.Config{Timeout: -1},
	}, &constant{[]byte("v")}, &constant{[]byte("v")})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

func TestGetThroughAHealthyGroupDoesNotAllocate(t *testing.T) {
	kv, ctx := constantGroup(t), context.Background()
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := kv.GetRaw(ctx, "key"); err != nil {
			t.Fatal(err)
		}
	})
	require.Zero(t, allocs)
}

// getter is a way to get a key, under the name of its benchmark.
type getter struct {
	name string
	resilient.KV
}

// benchmarkGets measures each way, by one caller and by many.
func benchmarkGets(b *testing.B, ways ...getter) {
	ctx := context.Background()
	for _, kv := range ways {
		b.Run(kv.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kv.GetRaw(ctx, "key"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kv.name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := kv.GetRaw(ctx, "key"); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	bare := &constant{[]byte("v")}
	store, err := resilient.Wrap(bare, resilient.Config{Timeout: -1})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	group := constantGroup(b)
	benchmarkGets(b, getter{"bare", bare}, getter{"store", store}, getter{"failover", group})
}

func BenchmarkSet(b *testing.B) {
	group, value := constantGroup(b), make([]byte, 100)
	ends, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	for name, ctx := range map[string]context.Context{"endless ctx": context.Background(), "ctx": ends} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := group.SetRaw(ctx, "key", value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
