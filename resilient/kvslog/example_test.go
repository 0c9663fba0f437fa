package kvslog_test

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
)

func ExampleNew() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	var observer resilient.Observer = kvslog.New(slog.New(handler)) // for resilient.Config or failover.Config

	observer.Observe(context.Background(), resilient.Event{
		Kind: resilient.KindChange, Group: "orders", Store: "redis", From: "closed", To: "open",
		Duration: time.Second, Reason: "3 failed health checks in a row", Err: resilient.ErrTimeout,
	})
	// Output:
	// level=WARN msg="breaker opened" group=orders backend=redis open_for=1s from=closed to=open reason="3 failed health checks in a row" error="holdfast: timeout"
}
