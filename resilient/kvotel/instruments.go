package kvotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/holdfastkv/holdfast/resilient/internal/meter"
)

// instruments holds the metrics.
type instruments struct {
	counters   map[meter.ID]metric.Int64Counter
	histograms map[meter.ID]metric.Float64Histogram
	sums       map[meter.ID]metric.Int64ObservableUpDownCounter
	gauges     map[meter.ID]metric.Float64ObservableGauge
}

var _ meter.Maker = (*instruments)(nil)

func newInstruments(makes metric.Meter) (*instruments, error) {
	in := &instruments{
		counters:   map[meter.ID]metric.Int64Counter{},
		histograms: map[meter.ID]metric.Float64Histogram{},
		sums:       map[meter.ID]metric.Int64ObservableUpDownCounter{},
		gauges:     map[meter.ID]metric.Float64ObservableGauge{},
	}
	var errs []error
	for _, id := range meter.All() {
		m, err := meter.Of(id), error(nil)
		unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
		switch m.Kind {
		case meter.KindCounter:
			in.counters[id], err = makes.Int64Counter(m.Name, unit, help)
		case meter.KindHistogram:
			in.histograms[id], err = makes.Float64Histogram(m.Name, unit, help, metric.WithExplicitBucketBoundaries(m.Buckets...))
		case meter.KindUpDownCounter:
			in.sums[id], err = makes.Int64ObservableUpDownCounter(m.Name, unit, help)
		case meter.KindGauge:
			in.gauges[id], err = makes.Float64ObservableGauge(m.Name, unit, help)
		}
		errs = append(errs, err)
	}
	return in, errors.Join(errs...)
}

// observables returns the instruments that report reports to.
func (in *instruments) observables() (all []metric.Observable) {
	for _, i := range in.sums {
		all = append(all, i)
	}
	for _, i := range in.gauges {
		all = append(all, i)
	}
	return all
}

// report tells to what gauges say.
func (in *instruments) report(to metric.Observer, readings []meter.Reading) {
	for _, r := range readings {
		with := metric.WithAttributeSet(attributes(r.ID, r.Values))
		if i, ok := in.sums[r.ID]; ok {
			to.ObserveInt64(i, int64(r.Value), with)
		} else {
			to.ObserveFloat64(in.gauges[r.ID], r.Value, with)
		}
	}
}

// attributes returns the labels of a series. One without a value is left out.
func attributes(id meter.ID, values []string) attribute.Set {
	var kvs []attribute.KeyValue
	for i, name := range meter.Of(id).Labels {
		if values[i] != "" {
			kvs = append(kvs, attribute.String(name, values[i]))
		}
	}
	return attribute.NewSet(kvs...)
}

// Counter returns a series, which exists from then on.
func (in *instruments) Counter(id meter.ID, values ...string) meter.Counter {
	c := counter{in.counters[id], []metric.AddOption{metric.WithAttributeSet(attributes(id, values))}}
	c.Add(context.Background(), 0)
	return c
}

// Histogram returns a series. It exists once something is recorded: there is
// no empty histogram in OpenTelemetry.
func (in *instruments) Histogram(id meter.ID, values ...string) meter.Histogram {
	return histogram{in.histograms[id], []metric.RecordOption{metric.WithAttributeSet(attributes(id, values))}}
}

type counter struct {
	instrument metric.Int64Counter
	with       []metric.AddOption // made once: they are most of the cost
}

func (c counter) Add(ctx context.Context, n int64) { c.instrument.Add(ctx, n, c.with...) }

type histogram struct {
	instrument metric.Float64Histogram
	with       []metric.RecordOption
}

func (h histogram) Record(ctx context.Context, value float64) {
	h.instrument.Record(ctx, value, h.with...)
}
