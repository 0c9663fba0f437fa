package kvotel_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// span is a caller's span that keeps its events.
type span struct {
	trace.Span
	recording bool
	events    []string
}

func (s *span) IsRecording() bool { return s.recording }

func (s *span) AddEvent(name string, options ...trace.EventOption) {
	cfg := trace.NewEventConfig(options...)
	set := attribute.NewSet(cfg.Attributes()...)
	s.events = append(s.events, fmt.Sprint(name, " ", set.Encoded(attribute.DefaultEncoder())))
}

// annotated returns the events that a caller's span gets of e.
func annotated(t *testing.T, recording bool, e resilient.Event) []string {
	t.Helper()
	o, _ := newObserver(t)
	s := &span{Span: noop.Span{}, recording: recording}
	o.Observe(trace.ContextWithSpan(context.Background(), s), e)
	return s.events
}

func TestTheCallersSpanGetsAnEventOfWhatItsCallWentThrough(t *testing.T) {
	for want, e := range map[string]resilient.Event{
		"holdfast.retry holdfast.attempt=2,holdfast.backend=s,holdfast.class=failed,holdfast.operation=get": {
			Kind: resilient.KindCall, Store: "s", Op: resilient.OpGet, Attempt: 2, Class: resilient.Failed, Err: fmt.Errorf("canary"),
		},
		"holdfast.breaker.rejected holdfast.backend=s,holdfast.group=g,holdfast.operation=batch_set": {
			Kind: resilient.KindCall, Group: "g", Store: "s", Op: resilient.OpBatchSet, Attempt: 1, Class: resilient.Refused, Reason: "open", Err: breaker.ErrOpen,
		},
		"holdfast.failover holdfast.backend=b,holdfast.group=g,holdfast.operation=get": {
			Kind: resilient.KindDone, Group: "g", Store: "b", Degraded: true,
		},
		"holdfast.stale_served holdfast.backend=s,holdfast.operation=get,holdfast.stale.age=1.5": {
			Kind: resilient.KindStale, Store: "s", Age: 1500 * time.Millisecond, Stale: true,
		},
		"holdfast.journal.appended holdfast.backend=a,holdfast.entries=2,holdfast.group=g,holdfast.operation=batch_set": {
			Kind: resilient.KindOwed, Group: "g", Store: "a", Op: resilient.OpBatchSet, Count: 2,
		},
	} {
		require.Equal(t, []string{want}, annotated(t, true, e))
		require.Empty(t, annotated(t, false, e), "nobody keeps it")
	}
}

func TestAPlainCallLeavesNothingOnTheSpan(t *testing.T) {
	for _, e := range []resilient.Event{
		{Kind: resilient.KindCall, Store: "s", Attempt: 1},
		{Kind: resilient.KindDone, Store: "s", Attempt: 1},
		{Kind: resilient.KindProbe, Store: "s", Slow: true},
		{Kind: resilient.KindChange, Store: "s", To: "open", Reason: "open"},
		{Kind: resilient.KindSwitch, Group: "g", Degraded: true},
	} {
		require.Empty(t, annotated(t, true, e))
	}
}
