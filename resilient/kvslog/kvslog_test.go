package kvslog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
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

func TestALineHasTheTimeOfItsEventAndNoSource(t *testing.T) {
	h := &capture{}
	o := kvslog.New(slog.New(h))
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindLost, Time: epoch})
	before := time.Now()
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindLost})
	require.Equal(t, epoch, h.records[0].Time)
	require.False(t, h.records[1].Time.Before(before), "a foreign event may have no time")
	require.Zero(t, h.records[0].PC, "else every line would seem to come from this package")
}

// capture is a Handler that keeps records, or does what a test wants.
type capture struct {
	mu      sync.Mutex
	records []slog.Record
	handle  func()
}

func (c *capture) Enabled(context.Context, slog.Level) bool { return true }
func (c *capture) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *capture) WithGroup(string) slog.Handler            { return c }

func (c *capture) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	c.records = append(c.records, r)
	c.mu.Unlock()
	if c.handle != nil {
		c.handle()
	}
	return errors.New("nobody looks at this")
}

func TestS28_AHandlerThatPanicsOrExitsLosesItsLineAlone(t *testing.T) {
	h := &capture{handle: func() { panic("handler") }}
	var o resilient.Observer = kvslog.New(slog.New(h))
	lost := resilient.Event{Kind: resilient.KindLost, Time: epoch}
	call := resilient.Event{Kind: resilient.KindCall, Time: epoch}
	for range 3 {
		resilient.Tell(t.Context(), o, lost)
		resilient.Tell(t.Context(), o, call)
	}
	require.Len(t, h.records, 4, "three losses and the first call")

	h.handle = runtime.Goexit
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Observe(context.Background(), lost)
	}()
	<-done
	h.handle = nil
	o.Observe(t.Context(), lost)
	require.Len(t, h.records, 6)
}

// A handler may log through a store that is observed in turn: it is called
// without a lock.
func TestS29_AHandlerMayTellAnEvent(t *testing.T) {
	h := &capture{}
	o := kvslog.New(slog.New(h))
	h.handle = func() {
		h.handle = nil
		o.Observe(t.Context(), resilient.Event{Kind: resilient.KindProbe, Err: io.EOF})
	}
	o.Observe(t.Context(), resilient.Event{Kind: resilient.KindProbe, Err: io.EOF, Store: "s"})
	require.Len(t, h.records, 2)
}

func TestEventsMayBeToldAtOnce(t *testing.T) {
	h := &capture{}
	o := kvslog.New(slog.New(h))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for kind := range resilient.KindLost + 1 {
				o.Observe(context.Background(), resilient.Event{Kind: kind, Time: epoch, Store: fmt.Sprint(i % 2), Err: io.EOF})
			}
		})
	}
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.NotEmpty(t, h.records)
}

// sqlError is an error as SQL drivers make them.
type sqlError struct{ state string }

func (e *sqlError) Error() string    { return "canary at host canary" }
func (e *sqlError) SQLState() string { return e.state }

// evil is an error whose methods panic.
type evil struct{}

func (*evil) Error() string { return "canary" }
func (*evil) Unwrap() error { panic("canary") }

// self is an error that wraps itself.
type self struct{}

func (s *self) Error() string { return "canary" }
func (s *self) Unwrap() error { return s }

// hollow is an error that wraps nothing.
type hollow struct{}

func (hollow) Error() string { return "canary" }
func (hollow) Unwrap() error { return nil }

func TestS10_OfAnErrorOnlyWhatHoldsNoDataIsWritten(t *testing.T) {
	canary := errors.New("canary")
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Err: os.NewSyscallError("canary", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{
		"":                                       nil,
		"*errors.errorString":                    canary,
		"holdfast: timeout: *errors.errorString": &resilient.Error{Err: fmt.Errorf("canary: %w: %w", resilient.ErrTimeout, canary)},
		"dial: connection refused":               fmt.Errorf("canary: %w", dial),
		"net: EOF":                               &net.OpError{Op: "canary", Err: io.EOF},
		"SQLSTATE 40001":                         fmt.Errorf("canary: %w", &sqlError{"40001"}),
		"*kvslog_test.sqlError":                  &sqlError{"canar"},
		"holdfast: the store panicked with a string": &resilient.PanicError{Value: "canary"},
		"context deadline exceeded":                  fmt.Errorf("canary: %w", context.DeadlineExceeded),
		"no space left on device":                    &os.PathError{Op: "canary", Path: "canary", Err: syscall.ENOSPC},
		"*kvslog_test.evil":                          &evil{},
		"kvslog_test.hollow":                         hollow{},
		"EOF: unexpected EOF: context canceled: holdfast: store is closed": errors.Join(io.EOF, io.ErrUnexpectedEOF, context.Canceled, resilient.ErrClosed, canary),
		"holdfast: too many calls in flight":                               &resilient.Error{Err: resilient.ErrBusy},
		"breaker: open":                                                    &breaker.OpenError{Reason: "canary"},
	} {
		e := resilient.Event{Kind: resilient.KindLost, Err: err}
		got := strings.Join(lines(t, slog.LevelDebug, e), "")
		if want == "" {
			require.NotContains(t, got, "error=")
			continue
		}
		require.NotContains(t, got, "canary")
		_, said, _ := strings.Cut(got, "error=")
		require.Equal(t, want, strings.Trim(said, `"`))
	}
	for _, err := range []error{&self{}, &sqlError{"canary"}, &sqlError{"CANARY"}} {
		require.NotContains(t, strings.ToLower(lines(t, slog.LevelDebug, resilient.Event{Kind: resilient.KindLost, Err: err})[0]), "canary")
	}
}
