package kvslog_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
)

func TestARepeatedLineIsWrittenOnceASecondAndStore(t *testing.T) {
	call := resilient.Event{Kind: resilient.KindCall, Store: "s", Class: resilient.Failed}
	var events []resilient.Event
	for i := range 2500 { // for 2.5 s
		call.Time = epoch.Add(time.Duration(i) * time.Millisecond)
		events = append(events, call)
	}
	other := call
	other.Store = "other"
	done := call
	done.Kind, done.Ambiguous = resilient.KindDone, true
	got := lines(t, slog.LevelInfo, append(events, other, done)...)
	require.Len(t, got, 5)
	require.NotContains(t, got[0], "suppressed")
	require.Contains(t, got[1], "suppressed=999")
	require.Contains(t, got[2], "suppressed=999")
	require.Contains(t, got[3], "backend=other")
	require.Contains(t, got[4], "write may have been applied")
}

func TestAFlapStormLosesNoChange(t *testing.T) {
	change := resilient.Event{Kind: resilient.KindChange, Time: epoch, Store: "s", To: "open"}
	turn := resilient.Event{Kind: resilient.KindSwitch, Time: epoch, Group: "g", To: "s"}
	lost := resilient.Event{Kind: resilient.KindLost, Time: epoch, Group: "g", Store: "s"}
	var events []resilient.Event
	for range 1000 {
		events = append(events, change, turn, lost)
	}
	require.Len(t, lines(t, slog.LevelInfo, events...), 3000)
}

func TestALineThatIsNotWrittenSuppressesNone(t *testing.T) {
	log, b := logger(slog.LevelDebug)
	quiet, qb := logger(slog.LevelError)
	call := resilient.Event{Kind: resilient.KindCall, Time: epoch, Store: "s"}
	loud, silent := kvslog.New(log), kvslog.New(quiet)
	for range 3 {
		loud.Observe(t.Context(), call)
		silent.Observe(t.Context(), call)
	}
	require.Equal(t, 1, strings.Count(b.String(), "\n"))
	require.Empty(t, qb.String())
}
