package kvotel

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfastkv/holdfast/resilient"
)

// The events on the caller's span.
const (
	spanRetry    = "holdfast.retry"            // an attempt after the first
	spanRejected = "holdfast.breaker.rejected" // an open breaker refused an attempt
	spanFailover = "holdfast.failover"         // a member that is not the most wanted answered
	spanStale    = "holdfast.stale_served"     // a cache answered in place of the store
	spanAppended = "holdfast.journal.appended" // the write is owed to a member
)

// annotate adds e to the span in ctx.
func annotate(ctx context.Context, e *resilient.Event) {
	name := spanEvent(e)
	if name == "" {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent(name, trace.WithAttributes(spanAttributes(name, e)...))
}

// spanEvent returns the name of the span's event; "" if e is none.
func spanEvent(e *resilient.Event) string {
	switch {
	case e.Kind == resilient.KindCall && e.Reason == "open":
		return spanRejected
	case e.Kind == resilient.KindCall && e.Attempt > 1:
		return spanRetry
	case e.Kind == resilient.KindDone && e.Degraded:
		return spanFailover
	case e.Kind == resilient.KindStale:
		return spanStale
	case e.Kind == resilient.KindOwed:
		return spanAppended
	}
	return ""
}

// spanAttributes returns what the span's event says: names that the program
// chose, fixed words and figures.
func spanAttributes(name string, e *resilient.Event) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("holdfast.backend", e.Store),
		attribute.String("holdfast.operation", strings.ReplaceAll(e.Op.String(), "-", "_")),
	}
	if e.Group != "" {
		attrs = append(attrs, attribute.String("holdfast.group", e.Group))
	}
	switch name {
	case spanRetry:
		attrs = append(attrs, attribute.Int("holdfast.attempt", e.Attempt), attribute.String("holdfast.class", e.Class.String()))
	case spanStale:
		attrs = append(attrs, attribute.Float64("holdfast.stale.age", e.Age.Seconds()))
	case spanAppended:
		attrs = append(attrs, attribute.Int("holdfast.entries", e.Count))
	}
	return attrs
}
