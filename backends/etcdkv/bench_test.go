package etcdkv

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// BenchmarkAgainstTheDriver makes rounds of calls through a store and of the
// same calls with the driver in turn, and reports the median of the rounds'
// ratios, and that of the times.
func BenchmarkAgainstTheDriver(b *testing.B) {
	const round = 100
	ctx := b.Context()
	server := servertest.Etcd(b)
	kv, client := open(b, Config{}, server), driver(b, clientv3.Config{}, server)
	value := make([]byte, 100)
	require.NoError(b, kv.SetRaw(ctx, "key", value))
	for _, op := range []struct {
		name        string
		store, bare func(ctx context.Context) error
	}{
		{"Get", func(ctx context.Context) error { return second(kv.GetRaw(ctx, "key")) },
			func(ctx context.Context) error { return second(client.Get(ctx, "holdfast/key")) }},
		{"Set", func(ctx context.Context) error { return kv.SetRaw(ctx, "key", value) },
			func(ctx context.Context) error { return second(client.Put(ctx, "holdfast/key", string(value))) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			timed := func(call func(ctx context.Context) error) float64 {
				began := time.Now()
				for range round {
					// The driver waits for ever without a deadline; the store sets one itself.
					ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
					err := call(ctx)
					cancel()
					if err != nil {
						b.Fatal(err)
					}
				}
				return float64(time.Since(began)) / round
			}
			var ratios, stores, bares []float64
			for i := 0; b.Loop(); i++ {
				var store, bare float64
				if i%2 == 0 {
					store, bare = timed(op.store), timed(op.bare)
				} else {
					bare, store = timed(op.bare), timed(op.store)
				}
				ratios, stores, bares = append(ratios, store/bare), append(stores, store), append(bares, bare)
			}
			b.ReportMetric(0, "ns/op") // of a round of both; it says nothing
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(stores)/1000, "store-µs")
			b.ReportMetric(median(bares)/1000, "driver-µs")
		})
	}
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}
