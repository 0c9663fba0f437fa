package kvslog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Observer writes events as lines. Make it with New. It is safe for concurrent
// use, as far as the logger's handler is. The handler is called on the
// goroutine that tells the event, which for a call is the caller's, with no
// lock held: a slow one delays that caller, and one that panics loses its line
// alone. What the handler's level leaves out costs next to nothing.
type Observer struct {
	handler slog.Handler

	mu   sync.Mutex // guards what follows; never held while the handler is called
	told map[repeated]*run
	sick map[source]bool // stores whose latest health check was bad
}

var _ resilient.Observer = (*Observer)(nil)

// New returns an Observer that writes to logger; nil discards everything.
func New(logger *slog.Logger) *Observer {
	o := &Observer{handler: slog.DiscardHandler, told: map[repeated]*run{}, sick: map[source]bool{}}
	if logger != nil {
		o.handler = logger.Handler()
	}
	return o
}

// source is where an event comes from.
type source struct{ group, store string }

// Observe writes a line about e, at the time that e says.
func (o *Observer) Observe(ctx context.Context, e resilient.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	l := o.lineOf(&e)
	if !o.handler.Enabled(ctx, l.level) {
		return
	}
	left := 0
	if !l.change {
		var due bool
		if due, left = o.due(repeated{source{e.Group, e.Store}, l.message}, e.Time); !due {
			return
		}
	}
	// A Logger would take the time of now and this package for the source.
	r := slog.NewRecord(e.Time, l.level, l.message, 0)
	r.AddAttrs(attributes(&e)...)
	if left > 0 {
		r.AddAttrs(slog.Int("suppressed", left))
	}
	_ = o.handler.Handle(ctx, r) // there is nobody to tell
}

// lineOf returns the line about e, and takes note of a store's health.
func (o *Observer) lineOf(e *resilient.Event) line {
	if e.Kind == resilient.KindProbe && o.turned(e) {
		if e.Err != nil {
			return line{slog.LevelWarn, "store is unhealthy", true}
		}
		return line{slog.LevelWarn, "store is healthy again", true}
	}
	return plainLine(e)
}

// repeatAfter is how long a line of the same message and source is left out.
const repeatAfter = time.Second

// repeated tells the lines apart of which not all are written.
type repeated struct {
	source
	message string
}

// run is what was written and left out of one such line.
type run struct {
	last time.Time
	left int // since then
}

// due reports whether a line is to be written, and how many like it were left
// out before it.
func (o *Observer) due(key repeated, at time.Time) (due bool, left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.told[key]
	if r == nil {
		o.told[key] = &run{last: at}
		return true, 0
	}
	if at.Sub(r.last) < repeatAfter {
		r.left++
		return false, 0
	}
	left = r.left
	*r = run{last: at}
	return true, left
}
