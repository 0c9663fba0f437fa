package kvotel_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
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

func TestPrometheusAndOpenTelemetryAgreeNumberForNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		prom, err := kvprom.New(reg)
		require.NoError(t, err)
		otel, reader := newObserver(t)
		outage := outagetest.New(t, resilient.Tee(prom, otel))
		prom.Watch(outage.Reporters()...)
		otel.Watch(outage.Reporters()...)
		agree := func(when string) {
			said, _ := collect(t, reader)
			require.Equal(t, withoutEmpty(scrape(t, reg)), said, when)
			require.Greater(t, len(said), 100)
		}
		agree("at the start")
		outage.Play(agree)
		agree("after Close")
	})
}

func TestS10_ASecretIsInNoMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, reader := newObserver(t)
		outage := outagetest.New(t, o)
		o.Watch(outage.Reporters()...)
		outage.Play(func(string) {
			var rm metricdata.ResourceMetrics
			require.NoError(t, reader.Collect(t.Context(), &rm))
			require.NotContains(t, fmt.Sprintf("%+v", rm), outagetest.Canary)
		})
	})
}

// reporter is a Reporter that says what a test wants.
type reporter func() resilient.Status

func (r reporter) Status() resilient.Status { return r() }

// fixed is a Reporter that always says the same.
type fixed struct{ status resilient.Status }

func (f *fixed) Status() resilient.Status { return f.status }

// group is the status of a healthy group of two.
func group(name string) resilient.Status {
	return resilient.Status{
		Name: name, Kind: "failover", Condition: resilient.Up, Active: "redis",
		Members: []resilient.Status{
			{Name: "redis", Condition: resilient.Up, State: "closed"},
			{Name: "bolt", Condition: resilient.Up, State: "closed"},
		},
	}
}

func TestEverySeriesThatIsNoHistogramExistsAtZeroFromTheFirstWatchOn(t *testing.T) {
	o, reader := newObserver(t)
	o.Watch(&fixed{group("orders")}, &fixed{resilient.Status{Name: "solo", State: "closed"}})
	series, units := collect(t, reader)
	for _, id := range meter.All() {
		m := meter.Of(id)
		if m.Kind == meter.KindHistogram {
			require.NotContains(t, units, m.Name)
			continue
		}
		require.Contains(t, units, m.Name)
		require.Equal(t, m.Unit, units[m.Name])
	}
	p, ok := series[`holdfast_breaker_calls_total{holdfast_backend="bolt",holdfast_group="orders",holdfast_outcome="failure"}`]
	require.True(t, ok)
	require.Zero(t, p.value)
	require.Equal(t, 1.0, series[`holdfast_backend_active{holdfast_backend="redis",holdfast_group="orders"}`].value)
}

func TestAStatusThatHangsDoesNotHoldUpACollectionForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		o, reader := newObserver(t)
		o.Watch(&fixed{group("good")}, reporter(func() resilient.Status {
			<-release
			panic("status")
		}))
		began := time.Now()
		series, _ := collect(t, reader)
		require.Equal(t, time.Second, time.Since(began))
		require.Contains(t, series, `holdfast_group_status{holdfast_backend_state="healthy",holdfast_group="good"}`)
		close(release)
		synctest.Wait()
		_, _ = collect(t, reader)
	})
}

func TestS22_SeriesDoNotDependOnKeysAndErrors(t *testing.T) {
	o, reader := newObserver(t)
	tell := func(i int, kinds resilient.Kind) {
		err := fmt.Errorf("error %d", i)
		for kind := range kinds {
			o.Observe(t.Context(), resilient.Event{Kind: kind, Group: "g", Store: "s", From: "closed", To: "open", Class: resilient.Failed, Reason: fmt.Sprint(i), Err: err})
		}
	}
	tell(0, resilient.KindLost+1)
	before, _ := collect(t, reader)
	for i := range 1000 {
		tell(i, resilient.KindLost+1)
	}
	for i := range 100_000 {
		tell(i, resilient.KindDone) // Call events
	}
	after, _ := collect(t, reader)
	require.Len(t, after, len(before))
}

// broken is a provider whose meter makes nothing.
type broken struct{ noop.MeterProvider }

func (broken) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ noop.Meter }

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return noop.Int64Counter{}, fmt.Errorf("no counter")
}

// deaf is a provider whose meter takes no callback.
type deaf struct{ noop.MeterProvider }

func (deaf) Meter(string, ...metric.MeterOption) metric.Meter { return deafMeter{} }

type deafMeter struct{ noop.Meter }

func (deafMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, fmt.Errorf("no callback")
}

func TestNewNeedsAProviderThatMakesInstruments(t *testing.T) {
	for _, none := range []metric.MeterProvider{nil, (*sdk.MeterProvider)(nil)} {
		_, err := kvotel.New(none)
		require.ErrorContains(t, err, "nil")
	}
	_, err := kvotel.New(broken{})
	require.ErrorContains(t, err, "kvotel: cannot make the instruments: no counter")
	_, err = kvotel.New(deaf{})
	require.ErrorContains(t, err, "kvotel: cannot have the gauges read: no callback")
	o, err := kvotel.New(noop.NewMeterProvider())
	require.NoError(t, err)
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall})
	require.NoError(t, o.Close())
}

func TestCloseStopsTheReadingOfStatuses(t *testing.T) {
	asked := 0
	o, reader := newObserver(t)
	o.Watch(reporter(func() resilient.Status {
		asked++
		return group("g")
	}))
	require.Equal(t, 1, asked)
	_, _ = collect(t, reader)
	require.Equal(t, 2, asked)
	require.NoError(t, o.Close())
	require.NoError(t, o.Close())
	_, units := collect(t, reader)
	require.Equal(t, 2, asked)
	require.NotContains(t, units, "holdfast.group.status")
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: "g", Store: "bolt"})
	series, _ := collect(t, reader)
	require.Equal(t, 1.0, series[`holdfast_breaker_calls_total{holdfast_backend="bolt",holdfast_group="g",holdfast_outcome="success"}`].value)
}

func TestEventsWatchesAndCollectionsMayComeAtOnce(t *testing.T) {
	o, reader := newObserver(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for j := range 20 {
				for kind := range resilient.KindLost + 1 {
					o.Observe(context.Background(), resilient.Event{Kind: kind, Group: "g", Store: fmt.Sprint(j), Count: 1})
				}
				o.Watch(&fixed{group("g")})
				var rm metricdata.ResourceMetrics
				if err := reader.Collect(context.Background(), &rm); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestTheDocumentationListsEveryMetric(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, id := range meter.All() {
		m := meter.Of(id)
		line := ""
		for l := range strings.Lines(string(doc)) {
			if fields := strings.Fields(l); len(fields) > 1 && fields[1] == m.Name {
				line = l
			}
		}
		require.NotEmpty(t, line, m.Name)
		kind := [...]string{"counter", "histogram", "updowncounter", "gauge"}[m.Kind]
		require.Equal(t, []string{"//", m.Name, kind, m.Unit}, strings.Fields(line))
	}
}
