package kvstatus

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// statusOf is a Reporter.
type statusOf func() resilient.Status

func (f statusOf) Status() resilient.Status { return f() }

// says is a Reporter that always says the same.
func says(st resilient.Status) resilient.Reporter {
	return statusOf(func() resilient.Status { return st })
}

// groupStatus is a group that has failed over and owes writes.
func groupStatus(now time.Time) resilient.Status {
	return resilient.Status{
		Name: "orders", Kind: "failover", Condition: resilient.Degraded, Active: "badger", Since: now.Add(-250 * time.Second),
		Reason: "3 failed health checks in a row", Owed: 1284, OwedBytes: 320_000, OldestOwed: now.Add(-249 * time.Second), InFlight: 3,
		Members: []resilient.Status{
			{
				Name: "bolt", Kind: "bolt", Condition: resilient.Down, State: "open", Since: now.Add(-250 * time.Second),
				Reason: "3 failed health checks in a row", Owed: 1284,
				LastProbe: resilient.Check{Time: now.Add(-2 * time.Second), Latency: 2 * time.Second, Err: resilient.ErrTimeout},
			},
			{
				Name: "badger", Kind: "badger", Condition: resilient.Up, State: "closed", Since: now.Add(-time.Hour), Reason: "new",
				LastProbe: resilient.Check{Time: now.Add(-time.Second), Latency: 410 * time.Microsecond},
			},
		},
	}
}

// fill tells p of five busy minutes, and returns their end.
func fill(p *Page) (now time.Time) {
	now = time.Now()
	p.began = now.Add(-time.Hour)
	ctx := context.Background()
	for at := now.Add(-history * time.Second); at.Before(now); at = at.Add(20 * time.Millisecond) {
		e := callOf("orders")
		e.Time, e.Duration = at, time.Duration(at.UnixNano()%int64(3*time.Millisecond))
		for _, store := range []string{"bolt", "badger"} {
			e.Store = store
			p.Observe(ctx, e)
		}
		e.Kind = resilient.KindDone
		if at.UnixMilli()%1000 < 20 {
			e.Class = resilient.Failed
		}
		p.Observe(ctx, e)
	}
	change := resilient.Event{
		Kind: resilient.KindChange, Group: "orders", Store: "bolt", From: "closed", To: "open", Time: now.Add(-250 * time.Second),
		Reason: "3 failed health checks in a row", Err: errors.New("dial"),
	}
	p.Observe(ctx, change)
	p.Observe(ctx, resilient.Event{
		Kind: resilient.KindSwitch, Group: "orders", Store: "badger", From: "bolt", To: "badger", Degraded: true,
		Time: change.Time, Reason: change.Reason,
	})
	return now
}

// get asks p for a path.
func get(t *testing.T, p *Page, path string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, p, http.MethodGet, path)
}

func ask(t *testing.T, p *Page, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r, err := http.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	require.NoError(t, err)
	p.ServeHTTP(w, r)
	return w
}
