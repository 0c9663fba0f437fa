package kvotel_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newObserver returns an Observer and what reads its metrics.
func newObserver(tb testing.TB) (*kvotel.Observer, *sdk.ManualReader) {
	tb.Helper()
	reader := sdk.NewManualReader()
	o, err := kvotel.New(sdk.NewMeterProvider(sdk.WithReader(reader)))
	require.NoError(tb, err)
	return o, reader
}

// point is what a series says, in either system.
type point struct {
	value   float64 // of a histogram: how many values it counted
	sum     float64
	buckets string // cumulative counts by upper bound
}

// rounded leaves out what the order of additions changes in a sum.
func rounded(f float64) float64 { return math.Round(f*1e9) / 1e9 }

// collect returns all series, under the names that they have in Prometheus,
// and the names and units of the metrics.
func collect(t *testing.T, reader *sdk.ManualReader) (series map[string]point, units map[string]string) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	series, units = map[string]point{}, map[string]string{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			units[m.Name] = m.Unit
			name := underscores(m)
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					series[name+names(p.Attributes)] = point{value: float64(p.Value)}
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					series[name+names(p.Attributes)] = point{value: p.Value}
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					series[name+names(p.Attributes)] = histogram(p)
				}
			default:
				require.Failf(t, "unexpected data", "%s: %T", m.Name, data)
			}
		}
	}
	return series, units
}

// underscores returns the name of a metric as OpenTelemetry's exporter for
// Prometheus makes it (UnderscoreEscapingWithSuffixes).
func underscores(m metricdata.Metrics) string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	}
	if sum, ok := m.Data.(metricdata.Sum[int64]); ok && sum.IsMonotonic {
		name += "_total"
	}
	return name
}

func names(set attribute.Set) string {
	var pairs []string
	for _, kv := range set.ToSlice() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", strings.ReplaceAll(string(kv.Key), ".", "_"), kv.Value.AsString()))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

func histogram(p metricdata.HistogramDataPoint[float64]) point {
	var buckets []string
	below := uint64(0)
	for i, bound := range p.Bounds {
		below += p.BucketCounts[i]
		buckets = append(buckets, fmt.Sprintf("%g:%d", bound, below))
	}
	return point{float64(p.Count), rounded(p.Sum), strings.Join(buckets, " ")}
}

// scrape returns all series of a registry.
func scrape(t *testing.T, from prometheus.Gatherer) map[string]point {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	series := map[string]point{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				if l.GetValue() != "" { // as good as no label
					pairs = append(pairs, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			slices.Sort(pairs)
			p := point{value: m.GetCounter().GetValue() + m.GetGauge().GetValue()}
			if h := m.GetHistogram(); h != nil {
				var buckets []string
				for _, b := range h.GetBucket() {
					buckets = append(buckets, fmt.Sprintf("%g:%d", b.GetUpperBound(), b.GetCumulativeCount()))
				}
				p = point{float64(h.GetSampleCount()), rounded(h.GetSampleSum()), strings.Join(buckets, " ")}
			}
			series[f.GetName()+"{"+strings.Join(pairs, ",")+"}"] = p
		}
	}
	return series
}

// withoutEmpty leaves out histograms that have counted nothing, which
// OpenTelemetry does not show.
func withoutEmpty(series map[string]point) map[string]point {
	maps.DeleteFunc(series, func(_ string, p point) bool { return p.buckets != "" && p.value == 0 })
	return series
}

// reporter is a Reporter that says what a test wants.
type reporter func() resilient.Status

func (r reporter) Status() resilient.Status { return r() }

// fixed is a Reporter that always says the same.
type fixed struct{ status resilient.Status }

func (f *fixed) Status() resilient.Status { return f.status }
