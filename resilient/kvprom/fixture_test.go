package kvprom_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape returns all series and their values, of histograms how many values
// they counted.
func scrape(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	require.NoError(t, err)
	series := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			if m.GetHistogram() != nil {
				name += "_count"
			}
			series[name+labels(m)] = value(m)
		}
	}
	return series
}

func labels(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", strings.TrimPrefix(l.GetName(), "holdfast_"), l.GetValue()))
		}
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func value(m *dto.Metric) float64 {
	switch {
	case m.GetHistogram() != nil:
		return float64(m.GetHistogram().GetSampleCount())
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	}
	return m.GetGauge().GetValue()
}

// reporter is a Reporter that says what a test wants.
type reporter func() resilient.Status

func (r reporter) Status() resilient.Status { return r() }

// fixed is a Reporter that always says the same.
type fixed struct{ status resilient.Status }

func (f *fixed) Status() resilient.Status { return f.status }
