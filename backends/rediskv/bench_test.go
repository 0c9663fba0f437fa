package rediskv

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// BenchmarkAgainstTheBareDriver compares Get and Set of 100 bytes with the same
// done by the driver alone, with a deadline as a resilient.Store sets one. The
// two take turns in one run; the ratio is the median of the rounds'.
func BenchmarkAgainstTheBareDriver(b *testing.B) {
	s := servertest.Redis(b, "--appendonly", "no")
	client := bare(b, s)
	value := make([]byte, 100)
	for _, way := range connects {
		kv := way.open(b, s, Config{})
		for _, pair := range []struct {
			name       string
			ours, bare func(ctx context.Context) error
		}{
			{"Get", func(ctx context.Context) error { _, err := kv.GetRaw(ctx, "key"); return err },
				func(ctx context.Context) error { return client.Get(ctx, "holdfast:key").Err() }},
			{"Set", func(ctx context.Context) error { return kv.SetRaw(ctx, "key", value) },
				func(ctx context.Context) error { return client.Set(ctx, "holdfast:key", value, 0).Err() }},
		} {
			b.Run(way.name+"/"+pair.name, func(b *testing.B) {
				require.NoError(b, kv.SetRaw(b.Context(), "key", value))
				compare(b, pair.ours, pair.bare)
			})
		}
	}
}

// BenchmarkManyCallersAgainstTheBareDriver compares 32 callers at once.
func BenchmarkManyCallersAgainstTheBareDriver(b *testing.B) {
	s := servertest.Redis(b, "--appendonly", "no")
	client := redis.NewClient(clientOptions(s))
	defer client.Close()
	kv := open(b, s, Config{})
	require.NoError(b, kv.SetRaw(b.Context(), "key", make([]byte, 100)))
	many := func(call func(ctx context.Context) error) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			done := make(chan error, 32)
			for range cap(done) {
				go func() {
					var err error
					for range 10 {
						err = call(ctx)
					}
					done <- err
				}()
			}
			for range cap(done) {
				if err := <-done; err != nil {
					return err
				}
			}
			return nil
		}
	}
	compare(b, many(func(ctx context.Context) error { _, err := kv.GetRaw(ctx, "key"); return err }),
		many(func(ctx context.Context) error { return client.Get(ctx, "holdfast:key").Err() }))
}

// compare reports the median ratio of what ours and bare take.
func compare(b *testing.B, ours, bare func(ctx context.Context) error) {
	b.Helper()
	const round = 20
	timed := func(call func(ctx context.Context) error) float64 {
		began := time.Now()
		for range round {
			ctx, cancel := context.WithTimeout(b.Context(), 2*time.Second)
			if err := call(ctx); err != nil {
				b.Fatal(err)
			}
			cancel()
		}
		return float64(time.Since(began)) / round
	}
	timed(ours)
	timed(bare)
	var ratios, times []float64
	for i := 0; b.Loop(); i++ {
		var x, y float64
		if i%2 == 0 {
			x, y = timed(ours), timed(bare)
		} else {
			y, x = timed(bare), timed(ours)
		}
		ratios, times = append(ratios, x/y), append(times, x)
	}
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(median(times), "ns/call")
	b.ReportMetric(0, "ns/op") // of a round of both
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
