package kvprom_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestGaugesAreReadFromStatusAtEachScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := outagetest.Group("orders")
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
					return outagetest.Group("bad")
				}), &fixed{outagetest.Group("good")})
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
			return outagetest.Group("g")
		}))
		require.Equal(t, time.Second, time.Since(began))
		close(release)
		synctest.Wait()
		require.Contains(t, scrape(t, reg), `holdfast_breaker_calls_total{backend="bolt",group="g",outcome="failure"}`)
	})
}

func TestAReporterIsWatchedOnceHoweverOften(t *testing.T) {
	o, reg := newObserver(t)
	r := &fixed{outagetest.Group("g")}
	o.Watch(r, r, nil, (*fixed)(nil), reporter(nil))
	o.Watch(r)
	o.Watch()
	other := reporter(func() resilient.Status { return outagetest.Group("other") }) // a func cannot be compared
	o.Watch(other, other)
	require.Equal(t, 1.0, scrape(t, reg)[`holdfast_backend_active{backend="redis",group="g"}`])
}

func TestGroupsWithMembersOfOneNameAreToldApart(t *testing.T) {
	o, reg := newObserver(t)
	a, b := outagetest.Group("a"), outagetest.Group("b")
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
		young, old := outagetest.Group("g"), outagetest.Group("g")
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
	st := outagetest.Group("g\xff")
	st.Members[0].Name = "m\xfe"
	o.Watch(&fixed{st}, &fixed{resilient.Status{Kind: "unnamed"}})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Group: "g\xff", Store: "m\xfe"})
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindSwitch, Group: "g\xff", From: "m\xfe"})
	got := scrape(t, reg)
	require.Equal(t, 1.0, got["holdfast_breaker_calls_total{backend=\"m\uFFFD\",group=\"g\uFFFD\",outcome=\"success\"}"])
	require.Contains(t, got, `holdfast_backend_status{backend="unnamed",backend_state="unknown"}`)
}
