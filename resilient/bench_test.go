package resilient

import (
	"context"
	"testing"

	"github.com/sony/gobreaker/v2"

	"github.com/holdfastkv/holdfast/breaker"
)

// constant is a store that answers at once, so that what is measured is what
// guards it.
type constant struct {
	*fake
	value []byte
}

func (c *constant) GetRaw(context.Context, string) ([]byte, error) { return c.value, nil }

// BenchmarkGet compares a bare call, the same through a Store, and through
// gobreaker's Execute, which is a breaker alone.
func BenchmarkGet(b *testing.B) {
	kv := &constant{fake: newFake(), value: []byte("value")}
	var bare KVWithHealth = kv
	cfg := quiet()
	cfg.Timeout = -1
	store := wrap(b, kv, cfg)
	member, err := store.Join("g", Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	cfg.Timeout = 0
	timed := wrap(b, kv, cfg)
	gb := gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{})
	const key = "user:00000042:profile"
	ways := []struct {
		name string
		get  func(ctx context.Context) ([]byte, error)
	}{
		{"bare", func(ctx context.Context) ([]byte, error) { return bare.GetRaw(ctx, key) }},
		{"store", func(ctx context.Context) ([]byte, error) { return store.GetRaw(ctx, key) }},
		{"member", func(ctx context.Context) ([]byte, error) { return member.GetRaw(ctx, key) }},
		{"store+timeout", func(ctx context.Context) ([]byte, error) { return timed.GetRaw(ctx, key) }},
		{"gobreaker", func(ctx context.Context) ([]byte, error) {
			return gb.Execute(func() ([]byte, error) { return bare.GetRaw(ctx, key) })
		}},
	}
	for _, way := range ways {
		b.Run("serial/"+way.name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := way.get(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("parallel/"+way.name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := way.get(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkRefusal is a Get that the open breaker refuses.
func BenchmarkRefusal(b *testing.B) {
	s := wrap(b, newFake(), quiet())
	if err := s.Breaker().Force(breaker.Open, "benchmark"); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.GetRaw(ctx, "user:00000042:profile"); err == nil {
			b.Fatal("an open breaker let a call through")
		}
	}
}
