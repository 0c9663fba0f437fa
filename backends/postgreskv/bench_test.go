package postgreskv

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkAgainstTheDriver does the same with the store and with its pool
// alone, in turns, and reports the median of the ratios of the rounds.
func BenchmarkAgainstTheDriver(b *testing.B) {
	_, kv := onServer(b, Config{})
	key, value := "key", make([]byte, 100)
	require.NoError(b, kv.SetRaw(b.Context(), key, value))
	for _, c := range []struct {
		name         string
		store, alone func(ctx context.Context) error
	}{
		{"Get",
			func(ctx context.Context) error { _, err := kv.GetRaw(ctx, key); return err },
			func(ctx context.Context) error {
				var got []byte
				return kv.pool.QueryRow(ctx, kv.sql.get, []byte(key)).Scan(&got)
			}},
		{"Set",
			func(ctx context.Context) error { return kv.SetRaw(ctx, key, value) },
			func(ctx context.Context) error {
				_, err := kv.pool.Exec(ctx, kv.sql.set, []byte(key), value)
				return err
			}},
	} {
		b.Run(c.name, func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			spent := func(call func(context.Context) error) float64 {
				const calls = 20
				began := time.Now()
				for range calls {
					if err := call(ctx); err != nil {
						b.Fatal(err)
					}
				}
				return float64(time.Since(began)) / calls
			}
			var ratios, store, alone []float64
			for i := 0; b.Loop(); i++ {
				first, second := c.store, c.alone
				if i%2 == 1 {
					first, second = second, first
				}
				x, y := spent(first), spent(second)
				if i%2 == 1 {
					x, y = y, x
				}
				ratios, store, alone = append(ratios, x/y), append(store, x), append(alone, y)
			}
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(store), "store-ns/call")
			b.ReportMetric(median(alone), "driver-ns/call")
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
