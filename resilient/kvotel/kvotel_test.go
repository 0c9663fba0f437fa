package kvotel_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

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

func TestEverySeriesThatIsNoHistogramExistsAtZeroFromTheFirstWatchOn(t *testing.T) {
	o, reader := newObserver(t)
	o.Watch(&fixed{outagetest.Group("orders")}, &fixed{resilient.Status{Name: "solo", State: "closed"}})
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
		o.Watch(&fixed{outagetest.Group("good")}, reporter(func() resilient.Status {
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
		return outagetest.Group("g")
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
				o.Watch(&fixed{outagetest.Group("g")})
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
