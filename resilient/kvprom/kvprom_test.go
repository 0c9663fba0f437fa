package kvprom_test

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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

func TestTheOutageYieldsExactlyTheseDeltas(t *testing.T) {
	var transcript []string
	synctest.Test(t, func(t *testing.T) {
		o, reg := newObserver(t)
		outage := outagetest.New(t, o)
		o.Watch(outage.Reporters()...)
		before := scrape(t, reg)
		outage.Play(func(act string) {
			after := scrape(t, reg)
			require.Equal(t, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)), "every series existed before %q", act)
			transcript = append(transcript, "== "+act)
			for _, name := range slices.Sorted(maps.Keys(after)) {
				if d := after[name] - before[name]; d != 0 {
					transcript = append(transcript, fmt.Sprintf("%+g %s", math.Round(d*1000)/1000, name))
				}
			}
			before = after
		})
	})
	outagetest.Golden(t, "outage.txt", strings.Join(transcript, "\n")+"\n")
}

func TestS10_ASecretIsInNoMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, reg := newObserver(t)
		outage := outagetest.New(t, o)
		o.Watch(outage.Reporters()...)
		outage.Play(func(string) {
			families, err := reg.Gather()
			require.NoError(t, err)
			for _, f := range families {
				require.NotContains(t, f.String(), outagetest.Canary)
			}
		})
	})
}

func TestEverySeriesExistsAtZeroFromTheFirstWatchOn(t *testing.T) {
	o, reg := newObserver(t)
	o.Watch(&fixed{outagetest.Group("orders")}, &fixed{resilient.Status{Name: "solo", State: "closed"}})
	got := scrape(t, reg)
	for _, id := range meter.All() {
		m := meter.Of(id)
		found := false
		for name, v := range got {
			if strings.HasPrefix(name, m.PromName()+"{") || strings.HasPrefix(name, m.PromName()+"_count{") {
				found = true
				if m.Kind != meter.KindUpDownCounter {
					require.Zero(t, v, name)
				}
			}
		}
		require.True(t, found, m.PromName())
	}
	for _, name := range []string{
		`holdfast_failovers_total{failover_direction="failover",failover_from="redis",failover_to="bolt",group="orders",reason="automatic"}`,
		`holdfast_failovers_total{failover_direction="failback",failover_from="bolt",failover_to="redis",group="orders",reason="manual"}`,
		`holdfast_operation_duration_seconds_count{backend="none",group="orders",operation="batch_set",outcome="error"}`,
		`holdfast_operation_duration_seconds_count{backend="solo",operation="get",outcome="not_found"}`,
		`holdfast_backend_owed{backend="bolt",group="orders"}`,
	} {
		require.Contains(t, got, name)
		require.Zero(t, got[name])
	}
	require.Len(t, got, 43+83+194, "what the documentation says")
}

func TestOneEventMakesAllSeriesOfItsStore(t *testing.T) {
	o, reg := newObserver(t)
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: "g", Store: "s", Op: resilient.OpGet})
	got := scrape(t, reg)
	require.Equal(t, 1.0, got[`holdfast_breaker_calls_total{backend="s",group="g",outcome="success"}`])
	require.Contains(t, got, `holdfast_breaker_transitions_total{backend="s",breaker_state_from="closed",breaker_state_to="open",group="g",reason="health"}`)
	require.Contains(t, got, `holdfast_journal_replays_total{backend="s",group="g",outcome="applied"}`)
}

func TestS22_SeriesDoNotDependOnKeysAndErrors(t *testing.T) {
	o, reg := newObserver(t)
	s := guard(t, o)
	o.Watch(s)
	ctx := t.Context()
	for op := range resilient.OpHealth {
		o.Observe(ctx, resilient.Event{Kind: resilient.KindDone, Store: s.Name(), Op: op, Class: resilient.Failed})
	}
	before := len(scrape(t, reg))
	for i := range 100_000 {
		_, err := s.GetRaw(ctx, fmt.Sprint("key", i))
		require.NoError(t, err)
		err = fmt.Errorf("error %d", i)
		o.Observe(ctx, resilient.Event{Kind: resilient.KindCall, Store: s.Name(), Class: resilient.Failed, Reason: fmt.Sprint(i), Err: err})
		o.Observe(ctx, resilient.Event{Kind: resilient.KindChange, Store: s.Name(), From: "closed", To: "open", Reason: fmt.Sprintf("forced open: %d", i), Err: err})
		o.Observe(ctx, resilient.Event{Kind: resilient.KindDone, Store: s.Name(), Class: resilient.Failed, Err: err})
		o.Observe(ctx, resilient.Event{Kind: resilient.KindProbe, Store: s.Name(), Class: resilient.Failed, Err: err})
	}
	require.Len(t, scrape(t, reg), before)
}

func TestNewNeedsARegistererThatHasNoneOfTheMetrics(t *testing.T) {
	for _, none := range []prometheus.Registerer{nil, (*prometheus.Registry)(nil)} {
		_, err := kvprom.New(none)
		require.ErrorContains(t, err, "nil")
	}
	o, reg := newObserver(t)
	_, err := kvprom.New(reg)
	require.ErrorContains(t, err, "another Observer")
	require.ErrorAs(t, err, &prometheus.AlreadyRegisteredError{})
	_, err = kvprom.New(prometheus.WrapRegistererWith(prometheus.Labels{"region": "eu"}, reg))
	require.ErrorContains(t, err, "kvprom: cannot register the metrics", "not even with a label more")

	require.NoError(t, o.Close())
	require.NoError(t, o.Close())
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindLost})
	require.Empty(t, scrape(t, reg))
	_, err = kvprom.New(reg)
	require.NoError(t, err, "Close has made room")

	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_retries_total", Help: "Something else."}))
	_, err = kvprom.New(other)
	require.ErrorContains(t, err, "kvprom: cannot register the metrics")
	require.Len(t, scrape(t, other), 1, "all or none")
}

func TestEventsWatchesAndScrapesMayComeAtOnce(t *testing.T) {
	o, reg := newObserver(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 10 {
				g := fmt.Sprint("g", (i+j)%9)
				for kind := range resilient.KindLost + 1 {
					o.Observe(context.Background(), resilient.Event{Kind: kind, Group: g, Store: "redis", Op: resilient.OpSet, Count: 1})
				}
				o.Watch(&fixed{outagetest.Group(g)})
				_, err := reg.Gather()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := scrape(t, reg)
	total := 0.0
	for name, v := range got {
		if strings.HasPrefix(name, "holdfast_breaker_calls_total{") {
			total += v
		}
	}
	require.Equal(t, 40.0, total, "no event is lost while series are made")
}

func TestEventsOfNoKindWeKnowAreNotCounted(t *testing.T) {
	o, reg := newObserver(t)
	before := scrape(t, reg)
	o.Observe(t.Context(), resilient.Event{Kind: 200, Store: "s"})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindDone, Store: "s", Op: resilient.OpHealth})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindDone, Store: "s", Op: 99})
	require.Equal(t, before, scrape(t, reg))
}

func TestTheDocumentationListsEveryMetric(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, id := range meter.All() {
		m := meter.Of(id)
		line := ""
		for l := range strings.Lines(string(doc)) {
			if fields := strings.Fields(l); len(fields) > 1 && fields[1] == m.PromName() {
				line = l
			}
		}
		require.NotEmpty(t, line, m.PromName())
		kind := [...]string{"counter", "histogram", "gauge", "gauge"}[m.Kind]
		require.Contains(t, line, " "+kind+" ", m.PromName())
		var names []string
		for _, l := range m.Labels {
			names = append(names, strings.TrimPrefix(meter.PromLabel(l), "holdfast_"))
		}
		require.Contains(t, line, " "+strings.Join(names, ",")+"\n", m.PromName())
	}
}
