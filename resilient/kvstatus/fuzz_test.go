package kvstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// secret is part of every error's text.
const secret = "SECRET-of-a-driver"

// grown makes stores and groups out of a script. The lower half of a byte says
// how the store is, the upper half where it stands and how its check ended.
func grown(script []byte, name, text string, seconds int64) []resilient.Status {
	failed := errors.New(secret + text)
	var all []resilient.Status
	for i, b := range script {
		st := resilient.Status{
			Name: name[i%(len(name)+1):], Kind: text, State: text, Reason: name, Active: []string{"", name}[b&1],
			Condition: resilient.Condition(b & 0x07), ReadOnly: b&0x08 != 0, Since: time.Unix(seconds, 0), OldestOwed: time.Unix(-seconds, 0),
			Owed: int(seconds), OwedBytes: seconds, InFlight: int(b),
			LastProbe: resilient.Check{Time: time.Unix(seconds, 999), Latency: time.Duration(seconds), Err: []error{
				nil, failed, fmt.Errorf("%w: %w", resilient.ErrTimeout, failed), fmt.Errorf("%w: %w", resilient.ErrRefused, failed),
			}[b>>4&3]},
		}
		switch last := len(all) - 1; {
		case b>>6 == 0 || last < 0:
			all = append(all, st)
		case b>>6 == 1:
			all[last].Members = append(all[last].Members, st)
		default: // the group is in a group
			st.Members, all[last].Members = all[last].Members, []resilient.Status{st}
		}
	}
	return all
}

func FuzzEveryAnswerSaysHowTheStoresAre(f *testing.F) {
	f.Fuzz(func(t *testing.T, script []byte, name, text string, seconds int64, withErrors bool) {
		if len(script) > 24 || strings.Contains(name+text, secret[:4]) {
			return
		}
		p := New(Config{Title: name, WithErrors: withErrors})
		serve, ready := len(script) > 0, len(script) > 0
		word := healthy
		if !ready {
			word = unhealthy
		}
		for _, st := range grown(script, name, text, seconds) {
			p.Watch(says(st))
			switch {
			case st.Condition == resilient.Down:
				word, serve, ready = unhealthy, false, false
			case st.Condition != resilient.Up && word == healthy:
				word = degraded
			}
			ready = ready && !st.ReadOnly
		}
		code := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}

		w := get(t, p, "/health")
		require.Equal(t, code[serve], w.Code)
		require.Equal(t, "application/json", w.Result().Header.Get("Content-Type"))
		health := unmarshal[healthJSON](t, w.Body.Bytes())
		require.Equal(t, word, health.Status)
		require.WithinDuration(t, time.Now(), health.Timestamp, time.Hour)
		require.Equal(t, word == unhealthy, health.Error != "")
		require.Equal(t, len(script) == 0, len(health.Checks) == 0)
		for _, check := range health.Checks {
			require.Contains(t, []string{healthy, degraded, unhealthy, unknown}, check.Status)
		}
		require.Equal(t, code[ready], get(t, p, "/readyz").Code)
		require.Equal(t, code[serve], get(t, p, "/readyz?readonly").Code)

		status := unmarshal[statusJSON](t, get(t, p, "/status.json").Body.Bytes())
		require.Equal(t, ready, status.Ready)
		page := get(t, p, "/")
		require.Equal(t, http.StatusOK, page.Code)
		if !withErrors {
			for _, path := range []string{"/health", "/status.json", "/"} {
				require.NotContains(t, get(t, p, path).Body.String(), secret[:4], path)
			}
		}
	})
}

// unmarshal wants all of body to be one JSON value.
func unmarshal[T any](t *testing.T, body []byte) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &v), "%s", body)
	return v
}
