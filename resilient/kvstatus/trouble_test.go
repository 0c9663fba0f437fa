package kvstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// troubled is a group whose journal and whose hand-back do not get on.
func troubled() resilient.Status {
	st := groupStatus(time.Now())
	st.Journal = resilient.JournalStatus{State: resilient.JournalRecovering, Since: time.Now().Add(-time.Minute), Err: errors.New("canary/journal.db")}
	st.Members[0].HandBack = resilient.HandBackStatus{
		Since: time.Now().Add(-2 * time.Minute), Reason: "the member failed", Class: resilient.Failed, Err: errors.New("canary:6379"),
	}
	return st
}

func TestThePageSaysWhatIsWrongWithTheJournalAndTheHandBack(t *testing.T) {
	for _, with := range []bool{false, true} {
		p := New(Config{WithErrors: with})
		p.Watch(says(troubled()))
		html := get(t, p, "/").Body.String()
		require.Contains(t, html, "has failed and is being made anew")
		require.Contains(t, html, "the member failed, failed")
		body := get(t, p, "/status.json").Body.String()
		var s statusJSON
		require.NoError(t, json.Unmarshal([]byte(body), &s))
		g := s.Stores[0]
		require.Equal(t, "recovering", g.Journal.State)
		require.NotNil(t, g.Journal.Since)
		require.Nil(t, g.HandBack)
		require.Equal(t, "the member failed", g.Members[0].HandBack.Reason)
		require.Equal(t, "failed", g.Members[0].HandBack.Class)
		require.Nil(t, g.Members[1].HandBack)
		for _, text := range []string{html, body} {
			if with {
				require.Contains(t, text, "canary:6379")
				require.Contains(t, text, "canary/journal.db")
			} else {
				require.NotContains(t, text, "canary")
			}
		}
		require.NoError(t, p.Close())
	}
}

func TestRegression_AGoodHandBackOfOneStoreTooManyIsShownAsStopped(t *testing.T) {
	p := New(Config{})
	for i := range maxSources {
		p.Observe(t.Context(), resilient.Event{Kind: resilient.KindDone, Store: fmt.Sprint(i)})
	}
	good := resilient.Event{Kind: resilient.KindHandedBack, Group: "orders", Store: "bolt", Count: 3}
	p.Observe(t.Context(), good)
	require.Empty(t, p.log.newest(), "runs are counted in what is remembered of a store")
	stopped := good
	stopped.Class, stopped.Err = resilient.Refused, errors.New("canary")
	p.Observe(t.Context(), stopped)
	require.Equal(t, "3 owed writes handed back to bolt, then it stopped: refused", p.log.newest()[0].what())
}

func TestThePageTellsOfAHandBackThatDeliversNothing(t *testing.T) {
	p := New(Config{})
	defer func() { require.NoError(t, p.Close()) }()
	p.Observe(t.Context(), resilient.Event{
		Kind: resilient.KindHandedBack, Group: "orders", Store: "bolt", Class: resilient.Refused, Err: errors.New("canary"),
	})
	html := get(t, p, "/").Body.String()
	require.Contains(t, html, "0 owed writes handed back to bolt, then it stopped: refused")
	require.NotContains(t, html, "canary")
	require.Contains(t, get(t, p, "/status.json").Body.String(), `"class": "refused"`)
}
