package consulkv

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

// BenchmarkAgainstDriver compares Get and Set with the bare driver doing the
// same, a consistent read and a write under a context, in turns: "ratio" is the
// median of this store's time over the driver's.
func BenchmarkAgainstDriver(b *testing.B) {
	server := servertest.Consul(b)
	kv := open(b, server.Addr(), Config{})
	transport := &http.Transport{MaxIdleConnsPerHost: defaultPoolSize}
	defer transport.CloseIdleConnections()
	client, err := api.NewClient(&api.Config{Address: server.Addr(), HttpClient: &http.Client{Transport: transport}})
	require.NoError(b, err)
	value := make([]byte, 100)
	require.NoError(b, kv.SetRaw(b.Context(), "key", value))

	compare(b, "Get", func() error {
		_, err := kv.GetRaw(b.Context(), "key")
		return err
	}, func() error {
		_, _, err := client.KV().Get("holdfast/key", (&api.QueryOptions{RequireConsistent: true}).WithContext(b.Context()))
		return err
	})
	compare(b, "Set", func() error {
		return kv.SetRaw(b.Context(), "key", value)
	}, func() error {
		_, err := client.KV().Put(&api.KVPair{Key: "holdfast/key", Value: value}, (&api.WriteOptions{}).WithContext(b.Context()))
		return err
	})
	compare(b, "Health", func() error { return kv.Health(b.Context()) }, func() error {
		_, _, err := client.KV().Get("holdfast/key", (&api.QueryOptions{RequireConsistent: true}).WithContext(b.Context()))
		return err
	})
}

func compare(b *testing.B, name string, ours, theirs func() error) {
	b.Run(name, func(b *testing.B) {
		var ratios []float64
		times := [2][]time.Duration{}
		for i := range b.N {
			var took [2]time.Duration
			for j := range took {
				one := (i + j) % 2 // who goes first changes
				began := time.Now()
				err := []func() error{ours, theirs}[one]()
				took[one] = time.Since(began)
				require.NoError(b, err)
			}
			for j := range took {
				times[j] = append(times[j], took[j])
			}
			ratios = append(ratios, float64(took[0])/float64(took[1]))
		}
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(float64(median(times[0])), "ours-ns")
		b.ReportMetric(float64(median(times[1])), "driver-ns")
	})
}

func median[T float64 | time.Duration](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}
