package kvstatus

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestReadyMeansThatReadsAndWritesCanBeServed(t *testing.T) {
	up, down := resilient.Status{Name: "a", Condition: resilient.Up}, resilient.Status{Name: "b", Condition: resilient.Down}
	readOnly := groupStatus(time.Now())
	readOnly.ReadOnly = true
	for name, c := range map[string]struct {
		watched     []resilient.Status
		ready, read int
		says        string
	}{
		"nothing is watched":              {nil, 503, 503, "not ready: nothing is watched\n"},
		"all is well":                     {[]resilient.Status{up}, 200, 200, "ready\n"},
		"a store is down":                 {[]resilient.Status{up, down}, 503, 503, "not ready\n"},
		"no check has ended yet":          {[]resilient.Status{{Name: "new"}}, 200, 200, "ready, degraded\n"},
		"the second member serves":        {[]resilient.Status{groupStatus(time.Now())}, 200, 200, "ready, degraded\n"},
		"the second member serves, reads": {[]resilient.Status{readOnly}, 503, 200, "not ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Config{})
			for _, st := range c.watched {
				p.Watch(statusOf(func() resilient.Status { return st }))
			}
			require.Equal(t, c.ready, get(t, p, "/readyz").Code)
			require.Equal(t, c.read, get(t, p, "/readyz?readonly").Code)
			require.Equal(t, c.read, get(t, p, "/readyz?readonly=1").Code)
			require.Equal(t, get(t, p, "/readyz").Code, get(t, p, "/readyz?readonly=false").Code)
			require.Equal(t, c.says, get(t, p, "/readyz").Body.String())
			require.Equal(t, http.StatusOK, get(t, p, "/livez").Code, "whatever the stores do")
		})
	}
}

func TestHealthHasTheFieldsThatHealthPagesHave(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 17, 17, 0, time.UTC)
	down := groupStatus(now)
	down.Condition = resilient.Down
	for name, c := range map[string]struct {
		watched                resilient.Status
		code                   int
		status, backend, fault string
		checks                 map[string]string
	}{
		"up":       {resilient.Status{Name: "redis", Condition: resilient.Up}, 200, "healthy", "redis", "", map[string]string{"redis": "healthy"}},
		"unnamed":  {resilient.Status{Kind: "redis", Condition: resilient.Up}, 200, "healthy", "redis", "", map[string]string{"redis": "healthy"}},
		"no check": {resilient.Status{Name: "redis"}, 200, "degraded", "redis", "", map[string]string{"redis": "unknown"}},
		"failed over": {groupStatus(now), 200, "degraded", "badger", "", map[string]string{
			"orders": "degraded", "orders/bolt": "unhealthy", "orders/badger": "healthy",
		}},
		"down": {down, 503, "unhealthy", "badger", "orders is down", map[string]string{
			"orders": "unhealthy", "orders/bolt": "unhealthy", "orders/badger": "healthy",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Config{})
			p.Watch(says(c.watched))
			w := get(t, p, "/health")
			require.Equal(t, c.code, w.Code)
			require.Equal(t, "application/json", w.Result().Header.Get("Content-Type"), "set before the status")
			var got map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			require.Equal(t, c.status, got["status"])
			require.Equal(t, c.backend, got["backend"])
			if c.fault == "" {
				require.NotContains(t, got, "error")
			} else {
				require.Equal(t, c.fault, got["error"])
			}
			stamp, err := time.Parse(time.RFC3339, got["timestamp"].(string))
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), stamp, time.Minute)
			checks := map[string]string{}
			for name, check := range got["checks"].(map[string]any) {
				checks[name] = check.(map[string]any)["status"].(string)
			}
			require.Equal(t, c.checks, checks)
		})
	}
}

func TestAHealthCheckIsShownWithItsLatencyAndClassOfError(t *testing.T) {
	p := New(Config{})
	p.Watch(says(groupStatus(time.Now())))
	var got healthJSON
	require.NoError(t, json.Unmarshal(get(t, p, "/health").Body.Bytes(), &got))
	bolt := got.Checks["orders/bolt"]
	require.Equal(t, "timed out", bolt.Error)
	require.Equal(t, "open", bolt.State)
	require.InDelta(t, 2000, *bolt.LatencyMS, 0)
	require.Empty(t, got.Checks["orders/badger"].Error)
	require.InDelta(t, 0.41, *got.Checks["orders/badger"].LatencyMS, 0)
}

func TestStatusTellsWhatIsKnown(t *testing.T) {
	p := New(Config{Title: "Orders"})
	now := fill(p)
	p.Watch(says(groupStatus(now)))
	var got statusJSON
	w := get(t, p, "/status.json")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, "Orders", got.Title)
	require.True(t, got.Ready)
	group := got.Stores[0]
	require.Equal(t, "badger", group.Active)
	require.Equal(t, 1284, group.Owed)
	require.Equal(t, int64(320_000), group.OwedBytes)
	require.NotNil(t, group.OldestOwed)
	require.Equal(t, "degraded", group.Condition)
	require.InDelta(t, 50, group.Calls.PerSecond["served"]+group.Calls.PerSecond["failed"], 6)
	require.InDelta(t, 1.5, *group.Calls.P50MS, 1)
	require.Equal(t, "bolt", group.Members[0].Name)
	require.Equal(t, "open", group.Members[0].State)
	require.InDelta(t, 50, group.Members[1].Calls.PerSecond["served"], 6)
	require.Len(t, got.Events, 2)
	require.Equal(t, "switch", got.Events[0].Kind, "the newest first")
}

func TestRegression_AReporterWithAConditionThatIsNoneTookThePageDown(t *testing.T) {
	p := New(Config{})
	p.Watch(says(resilient.Status{Name: "foreign", Condition: resilient.Down + 1}))
	require.Equal(t, http.StatusOK, get(t, p, "/").Code)
	require.Contains(t, get(t, p, "/health").Body.String(), `"status": "unknown"`)
}

func TestRegression_AReporterWithATimeThatJSONDoesNotHaveMadeHealthFail(t *testing.T) {
	for _, at := range []time.Time{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		p := New(Config{})
		p.Watch(says(resilient.Status{Name: "foreign", Condition: resilient.Up, Since: at, OldestOwed: at, LastProbe: resilient.Check{Time: at}}))
		for _, path := range []string{"/health", "/status.json"} {
			require.Equal(t, http.StatusOK, get(t, p, path).Code, path)
		}
	}
}

func TestRegression_OfTwoStoresWithOneNameHealthShowedOne(t *testing.T) {
	p := New(Config{})
	p.Watch(says(resilient.Status{Name: "redis", Condition: resilient.Down}))
	p.Watch(says(resilient.Status{Name: "redis", Condition: resilient.Up, Members: []resilient.Status{{Name: "a"}, {Name: "a"}}}))
	var got healthJSON
	require.NoError(t, json.Unmarshal(get(t, p, "/health").Body.Bytes(), &got))
	require.Equal(t, []string{"redis", "redis-2", "redis-2/a", "redis-2/a-2"}, slices.Sorted(maps.Keys(got.Checks)))
	require.Equal(t, "unhealthy", got.Checks["redis"].Status)
	require.Equal(t, "healthy", got.Checks["redis-2"].Status)
}

func TestRegression_HealthLeavesOutTheMembersOfAGroupWhoseNameHasSlashes(t *testing.T) {
	st := groupStatus(time.Now())
	st.Name = "eu/prod/orders/kv/1"
	p := New(Config{})
	p.Watch(says(st))
	var got healthJSON
	require.NoError(t, json.Unmarshal(get(t, p, "/health").Body.Bytes(), &got))
	require.Equal(t, []string{st.Name, st.Name + "/badger", st.Name + "/bolt"}, slices.Sorted(maps.Keys(got.Checks)))
}

func TestRegression_StatusHasNoAnswerForATimeThatJSONDoesNotHave(t *testing.T) {
	st := groupStatus(time.Now())
	st.Members[0].HandBack = resilient.HandBackStatus{Since: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Reason: "it has to wait"}
	st.Journal = resilient.JournalStatus{State: resilient.JournalFull, Since: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}
	p := New(Config{})
	p.Watch(says(st))
	for _, year := range []int{-1, 10000} {
		p.Observe(t.Context(), resilient.Event{Kind: resilient.KindLost, Store: "bolt", Time: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)})
	}
	require.Equal(t, http.StatusOK, get(t, p, "/status.json").Code)
	require.Equal(t, http.StatusOK, get(t, p, "/").Code)
}
