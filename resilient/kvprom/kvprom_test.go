package kvprom_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/internal/meter"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
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

func TestEverySeriesExistsAtZeroFromTheFirstWatchOn(t *testing.T) {
	o, reg := newObserver(t)
	o.Watch(&fixed{group("orders")}, &fixed{resilient.Status{Name: "solo", State: "closed"}})
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

func TestGaugesAreReadFromStatusAtEachScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := group("orders")
		o, reg := newObserver(t)
		o.Watch(reporter(func() resilient.Status { return st }))
		st.Active, st.Condition = "bolt", resilient.Degraded
		st.Owed, st.OwedBytes, st.OldestOwed = 3, 1000, time.Now()
		st.Members[0].State, st.Members[0].Condition, st.Members[0].Owed = "open", resilient.Down, 3
		st.Members[1].InFlight = 7
		time.Sleep(90 * time.Second)
		got := scrape(t, reg)
		for name, want := range map[string]float64{
			`holdfast_backend_active{backend="redis",group="orders"}`:                             0,
			`holdfast_backend_active{backend="bolt",group="orders"}`:                              1,
			`holdfast_backend_status{backend="redis",backend_state="unhealthy",group="orders"}`:   1,
			`holdfast_backend_status{backend="redis",backend_state="healthy",group="orders"}`:     0,
			`holdfast_breaker_status{backend="redis",breaker_state="open",group="orders"}`:        1,
			`holdfast_breaker_status{backend="redis",breaker_state="closed",group="orders"}`:      0,
			`holdfast_breaker_status{backend="redis",breaker_state="forced_open",group="orders"}`: 0,
			`holdfast_group_status{backend_state="degraded",group="orders"}`:                      1,
			`holdfast_backend_owed{backend="redis",group="orders"}`:                               3,
			`holdfast_journal_entry_count{group="orders"}`:                                        3,
			`holdfast_journal_size_bytes{group="orders"}`:                                         1000,
			`holdfast_journal_oldest_entry_age_seconds{group="orders"}`:                           90,
			`holdfast_bulkhead_call_active{backend="bolt",group="orders"}`:                        7,
		} {
			v, ok := got[name]
			require.True(t, ok, name)
			require.Equal(t, want, v, name)
		}
		st.Members[0].Forced = true
		st.Members[1].Forced = true
		got = scrape(t, reg)
		require.Equal(t, 1.0, got[`holdfast_breaker_status{backend="redis",breaker_state="forced_open",group="orders"}`])
		require.Equal(t, 0.0, got[`holdfast_breaker_status{backend="redis",breaker_state="open",group="orders"}`])
		require.Equal(t, 1.0, got[`holdfast_breaker_status{backend="bolt",breaker_state="disabled",group="orders"}`])
	})
}

func TestS28_AStatusThatHangsPanicsOrExitsDoesNotHoldUpAScrape(t *testing.T) {
	for name, misbehave := range map[string]func(release chan struct{}){
		"hangs":  func(release chan struct{}) { <-release },
		"panics": func(chan struct{}) { panic("status") },
		"exits":  func(chan struct{}) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var calls atomic.Int32
				var bad atomic.Bool
				o, reg := newObserver(t)
				o.Watch(reporter(func() resilient.Status {
					calls.Add(1)
					if bad.Load() {
						misbehave(release)
					}
					return group("bad")
				}), &fixed{group("good")})
				whole := scrape(t, reg)
				bad.Store(true)
				began := time.Now()
				for range 3 {
					got := scrape(t, reg)
					require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="healthy",group="good"}`])
					require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="unknown",group="bad"}`])
					require.Equal(t, 0.0, got[`holdfast_backend_status{backend="redis",backend_state="healthy",group="bad"}`])
					require.Equal(t, 1.0, got[`holdfast_group_status{backend_state="unknown",group="bad"}`])
					require.Equal(t, 0.0, got[`holdfast_backend_active{backend="redis",group="bad"}`])
					require.NotContains(t, got, `holdfast_journal_entry_count{group="bad"}`, "nobody knows it")
					require.Contains(t, got, `holdfast_journal_entry_count{group="good"}`)
				}
				require.LessOrEqual(t, time.Since(began), 3*time.Second)
				if name == "hangs" {
					require.EqualValues(t, 3, calls.Load(), "one call hangs, and no second beside it")
				}
				bad.Store(false)
				close(release)
				synctest.Wait()
				require.Equal(t, whole, scrape(t, reg))
			})
		})
	}
}

func TestAReporterThatHangsFromTheStartIsMetLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		o, reg := newObserver(t)
		began := time.Now()
		o.Watch(reporter(func() resilient.Status {
			<-release
			return group("g")
		}))
		require.Equal(t, time.Second, time.Since(began))
		close(release)
		synctest.Wait()
		require.Contains(t, scrape(t, reg), `holdfast_breaker_calls_total{backend="bolt",group="g",outcome="failure"}`)
	})
}

func TestAReporterIsWatchedOnceHoweverOften(t *testing.T) {
	o, reg := newObserver(t)
	r := &fixed{group("g")}
	o.Watch(r, r, nil, (*fixed)(nil), reporter(nil))
	o.Watch(r)
	o.Watch()
	other := reporter(func() resilient.Status { return group("other") }) // a func cannot be compared
	o.Watch(other, other)
	require.Equal(t, 1.0, scrape(t, reg)[`holdfast_backend_active{backend="redis",group="g"}`])
}

func TestGroupsWithMembersOfOneNameAreToldApart(t *testing.T) {
	o, reg := newObserver(t)
	a, b := group("a"), group("b")
	b.Members[0].Condition = resilient.Down
	o.Watch(&fixed{a}, &fixed{b}, &fixed{resilient.Status{Name: "redis", Condition: resilient.Degraded}})
	for _, g := range []string{"a", "b", ""} {
		o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: g, Store: "redis"})
	}
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: "b", Store: "redis"})
	got := scrape(t, reg)
	require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="healthy",group="a"}`])
	require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="unhealthy",group="b"}`])
	require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="degraded"}`])
	require.Equal(t, 1.0, got[`holdfast_breaker_calls_total{backend="redis",group="a",outcome="success"}`])
	require.Equal(t, 2.0, got[`holdfast_breaker_calls_total{backend="redis",group="b",outcome="success"}`])
	require.Equal(t, 1.0, got[`holdfast_breaker_calls_total{backend="redis",outcome="success"}`])
}

// Stores that nobody has named are called after their backend.
func TestStoresOfOneNameShareTheirSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, reg := newObserver(t)
		young, old := group("g"), group("g")
		young.OldestOwed, young.Owed = time.Now(), 2
		old.OldestOwed, old.Owed = time.Now().Add(-time.Minute), 1
		old.Members[0].Condition = resilient.Down
		o.Watch(&fixed{old}, &fixed{young})
		got := scrape(t, reg)
		require.Equal(t, 3.0, got[`holdfast_journal_entry_count{group="g"}`])
		require.Equal(t, 60.0, got[`holdfast_journal_oldest_entry_age_seconds{group="g"}`])
		require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="healthy",group="g"}`])
		require.Equal(t, 1.0, got[`holdfast_backend_status{backend="redis",backend_state="unhealthy",group="g"}`])
		require.Equal(t, 2.0, got[`holdfast_backend_status{backend="bolt",backend_state="healthy",group="g"}`])
	})
}

func TestNamesThatPrometheusCannotHoldAreMended(t *testing.T) {
	o, reg := newObserver(t)
	st := group("g\xff")
	st.Members[0].Name = "m\xfe"
	o.Watch(&fixed{st}, &fixed{resilient.Status{Kind: "unnamed"}})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: "g\xff", Store: "m\xfe"})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindSwitch, Group: "g\xff", From: "m\xfe"})
	got := scrape(t, reg)
	require.Equal(t, 1.0, got["holdfast_breaker_calls_total{backend=\"m\uFFFD\",group=\"g\uFFFD\",outcome=\"success\"}"])
	require.Contains(t, got, `holdfast_backend_status{backend="unnamed",backend_state="unknown"}`)
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
				o.Watch(&fixed{group(g)})
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
