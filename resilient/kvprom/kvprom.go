package kvprom

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
)

// Observer counts events and, when it is scraped, reads statuses. Make it with
// New. All methods are safe for concurrent use. For a store that it has heard
// of Observe takes no lock and allocates nothing.
type Observer struct {
	reg       prometheus.Registerer
	collector *collector
	meter     *meter.Meter
}

var _ resilient.Observer = (*Observer)(nil)

// New returns an Observer whose metrics are registered with reg; Close takes
// them out again. It is an error if reg is nil, or has metrics of these names
// already: one Observer is enough for all stores and groups of a program.
func New(reg prometheus.Registerer) (*Observer, error) {
	if meter.IsNil(reg) {
		return nil, errors.New("kvprom: the registerer is nil")
	}
	c := newCollector()
	o := &Observer{reg: reg, collector: c, meter: meter.New(c)}
	c.read = o.meter.Read
	if err := reg.Register(c); err != nil {
		var already prometheus.AlreadyRegisteredError
		if errors.As(err, &already) {
			return nil, fmt.Errorf("kvprom: the registerer has the metrics of another Observer; one is enough for all stores: %w", err)
		}
		return nil, fmt.Errorf("kvprom: cannot register the metrics: %w", err)
	}
	return o, nil
}

// Observe counts e.
func (o *Observer) Observe(ctx context.Context, e resilient.Event) { o.meter.Observe(ctx, &e) }

// Watch has the statuses of stores and groups read at each scrape, and makes
// all their series, at zero, at once. It may be called at any time; nil and
// what is watched already are left out. A Reporter is watched for as long as
// the Observer is used. Watch waits for the first statuses for at most a second.
func (o *Observer) Watch(r ...resilient.Reporter) { o.meter.Watch(r...) }

// Close takes the metrics out of the registry. Events are still taken, and
// nobody sees them. It always returns nil.
func (o *Observer) Close() error {
	o.reg.Unregister(o.collector)
	return nil
}
