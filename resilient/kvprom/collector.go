package kvprom

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfastkv/holdfast/resilient/internal/meter"
)

// collector holds the metrics. It is one Collector, so that they are registered
// all or none.
type collector struct {
	counters   map[meter.ID]*prometheus.CounterVec
	histograms map[meter.ID]*prometheus.HistogramVec
	gauges     map[meter.ID]*prometheus.Desc
	read       func() []meter.Reading // of the gauges; set before it is registered
}

var (
	_ prometheus.Collector = (*collector)(nil)
	_ meter.Maker          = (*collector)(nil)
)

func newCollector() *collector {
	c := &collector{
		counters:   map[meter.ID]*prometheus.CounterVec{},
		histograms: map[meter.ID]*prometheus.HistogramVec{},
		gauges:     map[meter.ID]*prometheus.Desc{},
	}
	for _, id := range meter.All() {
		m := meter.Of(id)
		labels := make([]string, len(m.Labels))
		for i, l := range m.Labels {
			labels[i] = meter.PromLabel(l)
		}
		switch m.Kind {
		case meter.KindCounter:
			c.counters[id] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.PromName(), Help: m.Help}, labels)
		case meter.KindHistogram:
			c.histograms[id] = prometheus.NewHistogramVec(
				prometheus.HistogramOpts{Name: m.PromName(), Help: m.Help, Buckets: m.Buckets}, labels)
		default:
			c.gauges[id] = prometheus.NewDesc(m.PromName(), m.Help, labels, nil)
		}
	}
	return c
}

// Describe sends what metrics there are.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range c.counters {
		v.Describe(ch)
	}
	for _, v := range c.histograms {
		v.Describe(ch)
	}
	for _, d := range c.gauges {
		ch <- d
	}
}

// Collect sends the numbers. The gauges are read first, which makes the series
// of what has come to be watched.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, r := range c.read() {
		desc := c.gauges[r.ID]
		m, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, r.Value, r.Values...)
		if err != nil {
			m = prometheus.NewInvalidMetric(desc, err) // the scrape says so; a panic here would end the process
		}
		ch <- m
	}
	for _, v := range c.counters {
		v.Collect(ch)
	}
	for _, v := range c.histograms {
		v.Collect(ch)
	}
}

// Counter returns a series, which exists from then on.
func (c *collector) Counter(id meter.ID, values ...string) meter.Counter {
	return counter{c.counters[id].WithLabelValues(values...)}
}

// Histogram returns a series, which exists from then on.
func (c *collector) Histogram(id meter.ID, values ...string) meter.Histogram {
	return histogram{c.histograms[id].WithLabelValues(values...)}
}

type counter struct{ series prometheus.Counter }

func (c counter) Add(_ context.Context, n int64) { c.series.Add(float64(n)) }

type histogram struct{ series prometheus.Observer }

func (h histogram) Record(_ context.Context, value float64) { h.series.Observe(value) }
