package kvslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/internal/outagetest"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time of the events that tests make.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// logger returns a Logger and what it has written.
func logger(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime})), &b
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// lines returns what is written about events, told in order.
func lines(t *testing.T, level slog.Level, events ...resilient.Event) []string {
	t.Helper()
	log, b := logger(level)
	o := kvslog.New(log)
	for i, e := range events {
		if e.Time.IsZero() {
			e.Time = epoch.Add(time.Duration(i) * time.Minute)
		}
		o.Observe(t.Context(), e)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// written is what a handler has written since the last look at it.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.b.Reset()
	return strings.FieldsFunc(w.b.String(), func(r rune) bool { return r == '\n' })
}

func TestTheOutageYieldsExactlyTheseLines(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		t.Run(level.String(), func(t *testing.T) {
			var transcript []string
			synctest.Test(t, func(t *testing.T) {
				var b written
				began := time.Now()
				log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
					switch {
					case a.Key == slog.TimeKey:
						return slog.String("at", fmt.Sprintf("%07.3f", a.Value.Time().Sub(began).Seconds()))
					case a.Value.Kind() == slog.KindDuration:
						a.Value = slog.DurationValue(a.Value.Duration().Round(time.Millisecond)) // less than the delay of a retry
					}
					return a
				}}))
				outagetest.New(t, kvslog.New(log)).Play(func(act string) {
					lines := b.take()
					slices.Sort(lines) // those of one moment have no order
					transcript = append(append(transcript, "== "+act), lines...)
				})
			})
			all := strings.Join(transcript, "\n") + "\n"
			require.NotContains(t, all, outagetest.Canary)
			outagetest.Golden(t, "outage-"+strings.ToLower(level.String())+".txt", all)
		})
	}
}

func TestEachKindOfEventHasItsLine(t *testing.T) {
	failed := errors.New("what a driver says")
	for _, c := range []struct {
		e    resilient.Event
		want string
	}{
		{resilient.Event{Kind: resilient.KindCall, Store: "s", Op: resilient.OpGet, Attempt: 1, Duration: time.Millisecond},
			`level=DEBUG msg="call ended" backend=s op=get error_class=ok dur=1ms attempt=1`},
		{resilient.Event{Kind: resilient.KindCall, Group: "g", Store: "s", Op: resilient.OpSet, Class: resilient.Refused, Reason: "open", Err: breaker.ErrOpen},
			`level=DEBUG msg="call ended" group=g backend=s op=set error_class=refused dur=0s reason=open error="` + breaker.ErrOpen.Error() + `"`},
		{resilient.Event{Kind: resilient.KindCall, Store: "s", Op: resilient.OpGet, Class: resilient.Failed, Attempt: 2, Err: failed},
			`level=WARN msg="call failed" backend=s op=get error_class=failed dur=0s attempt=2 error=*errors.errorString`},
		{resilient.Event{Kind: resilient.KindDone, Group: "g", Store: "s", Op: resilient.OpSet, Degraded: true, Count: 1},
			`level=DEBUG msg="call done" group=g backend=s op=set error_class=ok dur=0s count=1 degraded=true`},
		{resilient.Event{Kind: resilient.KindDone, Group: "g", Op: resilient.OpSet, Class: resilient.Failed, Ambiguous: true, Err: resilient.ErrAmbiguous},
			`level=WARN msg="write may have been applied" group=g op=set error_class=failed dur=0s error="holdfast: ambiguous, the write may have been applied"`},
		{resilient.Event{Kind: resilient.KindProbe, Store: "s", Duration: time.Second},
			`level=DEBUG msg="health check" backend=s error_class=ok dur=1s`},
		{resilient.Event{Kind: resilient.KindProbe, Store: "s", Duration: time.Second, Slow: true},
			`level=WARN msg="health check is slow" backend=s error_class=ok dur=1s`},
		{resilient.Event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Failed, Err: failed},
			`level=WARN msg="store is unhealthy" backend=s error_class=failed dur=0s error=*errors.errorString`},
		{resilient.Event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Failed, Err: resilient.ErrHealthUnknown},
			`level=DEBUG msg="health check" backend=s error_class=failed dur=0s error="holdfast: health unknown"`},
		{resilient.Event{Kind: resilient.KindChange, Store: "s", From: "closed", To: "open", Duration: time.Second, Reason: "why", Err: failed},
			`level=WARN msg="breaker opened" backend=s open_for=1s from=closed to=open reason=why error=*errors.errorString`},
		{resilient.Event{Kind: resilient.KindChange, Store: "s", From: "open", To: "half-open"},
			`level=INFO msg="breaker half-open" backend=s from=open to=half-open`},
		{resilient.Event{Kind: resilient.KindChange, Store: "s", From: "half-open", To: "closed"},
			`level=INFO msg="breaker closed" backend=s from=half-open to=closed`},
		{resilient.Event{Kind: resilient.KindSwitch, Group: "g", Store: "b", From: "a", To: "b", Reason: "why", Count: 3, Degraded: true},
			`level=WARN msg="group serves from another member" group=g backend=b from=a to=b reason=why count=3 degraded=true`},
		{resilient.Event{Kind: resilient.KindSwitch, Group: "g", Store: "a", From: "b", To: "a", Back: true},
			`level=INFO msg="group serves from a more wanted member" group=g backend=a from=b to=a`},
		{resilient.Event{Kind: resilient.KindSwitch, Group: "g", Store: "a", From: "b", To: "a", Nobody: true},
			`level=ERROR msg="no member of the group serves" group=g backend=a from=b to=a`},
		{resilient.Event{Kind: resilient.KindOwed, Group: "g", Store: "a", Op: resilient.OpSet, Count: 1, Duration: time.Millisecond},
			`level=INFO msg="write is owed" group=g backend=a op=set dur=1ms count=1`},
		{resilient.Event{Kind: resilient.KindHandedBack, Group: "g", Store: "a", Count: 7, Age: time.Minute},
			`level=INFO msg="owed writes handed back" group=g backend=a count=7 age=1m0s`},
		{resilient.Event{Kind: resilient.KindHandedBack, Group: "g", Store: "a", Count: 7, Err: failed},
			`level=WARN msg="hand-back stopped" group=g backend=a count=7 error=*errors.errorString`},
		{resilient.Event{Kind: resilient.KindStale, Store: "s", Op: resilient.OpGet, Age: time.Second, Stale: true, Err: failed},
			`level=WARN msg="stale answer" backend=s op=get age=1s error=*errors.errorString`},
		{resilient.Event{Kind: resilient.KindLost, Group: "g", Store: "a", Count: 2, Reason: "closed"},
			`level=ERROR msg="writes lost" group=g backend=a reason=closed count=2`},
		{resilient.Event{Kind: 200, Store: "s"}, `level=DEBUG msg=event backend=s`},
	} {
		require.Equal(t, []string{c.want}, lines(t, slog.LevelDebug, c.e))
	}
}

func TestAStoreIsHealthyUntilACheckSaysOtherwise(t *testing.T) {
	good := resilient.Event{Kind: resilient.KindProbe, Store: "s"}
	bad, unknown := good, good
	bad.Err, unknown.Err = resilient.ErrTimeout, resilient.ErrHealthUnknown
	other := bad
	other.Store = "other"
	var told []string
	for _, l := range lines(t, slog.LevelDebug, good, good, bad, unknown, bad, good, good, other) {
		_, l, _ = strings.Cut(l, "level=")
		l, _, _ = strings.Cut(l, " error_class")
		told = append(told, l)
	}
	require.Equal(t, []string{
		`DEBUG msg="health check" backend=s`, `DEBUG msg="health check" backend=s`,
		`WARN msg="store is unhealthy" backend=s`, `DEBUG msg="health check" backend=s`, `DEBUG msg="health check" backend=s`,
		`WARN msg="store is healthy again" backend=s`, `DEBUG msg="health check" backend=s`,
		`WARN msg="store is unhealthy" backend=other`,
	}, told)
}

func TestALineBelowTheLevelAllocatesNothing(t *testing.T) {
	log, _ := logger(slog.LevelInfo)
	o := kvslog.New(log)
	call := resilient.Event{Kind: resilient.KindCall, Time: epoch, Store: "s", Class: resilient.Missing, Err: resilient.ErrNotFound}
	check := resilient.Event{Kind: resilient.KindProbe, Time: epoch, Store: "s"}
	require.Zero(t, testing.AllocsPerRun(200, func() {
		o.Observe(context.Background(), call)
		o.Observe(context.Background(), check)
	}))
}

func TestANilLoggerDiscardsEverything(t *testing.T) {
	kvslog.New(nil).Observe(t.Context(), resilient.Event{Kind: resilient.KindLost})
}
