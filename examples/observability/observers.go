package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
)

// observers are all that are told what happens.
type observers struct {
	all      resilient.Observer
	registry *prometheus.Registry
	prom     *kvprom.Observer
	otel     *kvotel.Observer
	reader   *sdk.ManualReader // a real service has one that exports
	page     *kvstatus.Page
}

func newObservers(logger *slog.Logger) (*observers, error) {
	o := &observers{
		registry: prometheus.NewRegistry(), reader: sdk.NewManualReader(),
		page: kvstatus.New(kvstatus.Config{Title: "Order service"}),
	}
	var err error
	if o.prom, err = kvprom.New(o.registry); err != nil {
		return nil, err
	}
	if o.otel, err = kvotel.New(sdk.NewMeterProvider(sdk.WithReader(o.reader))); err != nil {
		return nil, err
	}
	o.all = resilient.Tee(kvslog.New(logger), o.prom, o.otel, o.page)
	return o, nil
}

func (o *observers) watch(r resilient.Reporter) {
	o.prom.Watch(r)
	o.otel.Watch(r)
	o.page.Watch(r)
}

// report prints how many calls OpenTelemetry has counted, by outcome.
func (o *observers) report(out io.Writer) error {
	var all metricdata.ResourceMetrics
	if err := o.reader.Collect(context.Background(), &all); err != nil {
		return err
	}
	calls := map[string]uint64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			durations, ok := m.Data.(metricdata.Histogram[float64])
			if !ok || m.Name != "holdfast.operation.duration" {
				continue
			}
			for _, p := range durations.DataPoints {
				outcome, _ := p.Attributes.Value("holdfast.outcome")
				backend, _ := p.Attributes.Value("holdfast.backend")
				if p.Count > 0 {
					calls[outcome.AsString()+", answered by "+backend.AsString()] += p.Count
				}
			}
		}
	}
	lines := make([]string, 0, len(calls))
	for what, n := range calls {
		lines = append(lines, fmt.Sprintf("%7d calls %s", n, what))
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	return nil
}
