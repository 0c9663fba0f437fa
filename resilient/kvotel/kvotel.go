package kvotel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"go.opentelemetry.io/otel/metric"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
)

// scope is the name of the instrumentation, and of the module that it is in.
const scope = "github.com/holdfastkv/holdfast"

// Observer counts events, adds the telling ones to the caller's span, and reads
// statuses when metrics are collected. Make it with New. All methods are safe
// for concurrent use.
type Observer struct {
	meter  *meter.Meter
	gauges metric.Registration
}

var _ resilient.Observer = (*Observer)(nil)

// New returns an Observer whose instruments are made by provider; Close stops
// its reading of statuses. It is an error if provider is nil. A provider may
// have several Observers, but what is told to two of them is counted twice.
func New(provider metric.MeterProvider) (*Observer, error) {
	if meter.IsNil(provider) {
		return nil, errors.New("kvotel: the meter provider is nil")
	}
	var options []metric.MeterOption
	if v := version(); v != "" {
		options = append(options, metric.WithInstrumentationVersion(v))
	}
	makes := provider.Meter(scope, options...)
	in, err := newInstruments(makes)
	if err != nil {
		return nil, fmt.Errorf("kvotel: cannot make the instruments: %w", err)
	}
	o := &Observer{meter: meter.New(in)}
	o.gauges, err = makes.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		in.report(to, o.meter.Read())
		return nil
	}, in.observables()...)
	if err != nil {
		return nil, fmt.Errorf("kvotel: cannot have the gauges read: %w", err)
	}
	return o, nil
}

// version returns that of the module as the program was built with it; "" if
// that is not known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == scope {
			return dep.Version
		}
	}
	return ""
}

// Observe counts e, and adds an event to the span in ctx if e is one that
// explains what the caller's call went through.
func (o *Observer) Observe(ctx context.Context, e resilient.Event) {
	o.meter.Observe(ctx, &e)
	annotate(ctx, &e)
}

// Watch has the statuses of stores and groups read at each collection, and
// makes the series of their counters, at zero, at once. It may be called at
// any time; nil and what is watched already are left out. A Reporter is watched
// for as long as the Observer is used. Watch waits for the first statuses for
// at most a second.
func (o *Observer) Watch(r ...resilient.Reporter) { o.meter.Watch(r...) }

// Close stops the reading of statuses. Events are still counted.
func (o *Observer) Close() error { return o.gauges.Unregister() }
