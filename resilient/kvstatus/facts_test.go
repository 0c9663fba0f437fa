package kvstatus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestTheLastCheckIsSaidInWords(t *testing.T) {
	now := time.Now()
	p := New(Config{})
	for want, c := range map[string]resilient.Check{
		"none yet":                             {},
		"good in 2.0 ms, 3 s ago":              {Latency: 2 * time.Millisecond},
		"slow, good in 1.5 s, 3 s ago":         {Latency: 1500 * time.Millisecond, Slow: true},
		"alarm: refused after 2.0 ms, 3 s ago": {Latency: 2 * time.Millisecond, Err: resilient.ErrRefused},
		"alarm: failed after 1.5 s, 3 s ago":   {Latency: 1500 * time.Millisecond, Slow: true, Err: errors.New("canary")},
		"unknown, 3 s ago":                     {Err: resilient.ErrHealthUnknown},
	} {
		if want != "none yet" {
			c.Time = now.Add(-3 * time.Second)
		}
		f := p.checkFact(&resilient.Status{LastProbe: c}, now)
		said := join(f.Answer, f.More)
		if f.Alarm {
			said = "alarm: " + said
		}
		require.Equal(t, want, strings.ReplaceAll(said, gap, " "))
	}
}

func TestTheVerdictSaysWhatIsWrongWithTheJournal(t *testing.T) {
	for state, want := range map[string]string{
		resilient.JournalFull:       "badger serves in place of bolt. The journal is full. No writes are taken.",
		resilient.JournalRefusing:   "badger serves in place of bolt. The journal cannot be written to. No writes are taken.",
		resilient.JournalRecovering: "badger serves in place of bolt. The journal has failed and is being made anew. No writes are taken.",
		"new":                       "badger serves in place of bolt. The journal is new. No writes are taken.",
	} {
		st := groupStatus(time.Now())
		st.Journal.State, st.ReadOnly = state, true
		require.Equal(t, want, verdict(&st))
	}
}

func TestAMemberIsShownWithAllThatIsKnownOfIt(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 17, 17, 0, time.UTC)
	st := groupStatus(now)
	st.Members[0].Forced, st.Members[0].InFlight = true, 2
	st.Members[0].HandBack = resilient.HandBackStatus{Since: now.Add(-time.Minute), Reason: "it has to wait"}
	st.Members[1] = resilient.Status{Name: "badger", Kind: "badger", Condition: resilient.Up}
	var said []string
	for _, m := range New(Config{}).unit(&reading{Status: st, known: true, ever: true}, now).Members {
		for _, f := range m.Facts {
			said = append(said, strings.ReplaceAll(m.Name+" "+join(f.Question, f.Answer, f.More), gap, " "))
		}
	}
	require.Equal(t, []string{
		"bolt Breaker, open, forced, since 02:13:07 UTC, 4 min 10 s",
		"bolt Why, 3 failed health checks in a row",
		"bolt Last check, timed out after 2.0 s, 2 s ago",
		"bolt Owed, 1,284 writes",
		"bolt Hand-back, it has to wait, nothing for 1 min",
		"bolt In flight, 2 calls",
		"badger Breaker, none",
		"badger Last check, none yet",
		"badger Owed, nothing",
		"badger In flight, 0 calls",
	}, said)
}
