package kvslog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
)

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
