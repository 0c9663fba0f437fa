package kvslog

import (
	"errors"
	"log/slog"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// line is what is fixed of a line.
type line struct {
	level   slog.Level
	message string
	change  bool // it is written however many there are
}

// plainLine returns the line about e, as far as it does not depend on what was
// told before.
func plainLine(e *resilient.Event) line {
	switch e.Kind {
	case resilient.KindCall:
		return either(e.Class == resilient.Failed, line{slog.LevelWarn, "call failed", false}, line{slog.LevelDebug, "call ended", false})
	case resilient.KindDone:
		return either(e.Ambiguous, line{slog.LevelWarn, "write may have been applied", false}, line{slog.LevelDebug, "call done", false})
	case resilient.KindProbe:
		return either(e.Slow && e.Err == nil, line{slog.LevelWarn, "health check is slow", false}, line{slog.LevelDebug, "health check", false})
	case resilient.KindChange:
		return changeLine(e)
	case resilient.KindSwitch:
		if e.Nobody {
			return line{slog.LevelError, "no member of the group serves", true}
		}
		return either(e.Back, line{slog.LevelInfo, "group serves from a more wanted member", true},
			line{slog.LevelWarn, "group serves from another member", true})
	case resilient.KindOwed:
		return line{slog.LevelInfo, "write is owed", false}
	case resilient.KindHandedBack:
		return either(e.Err != nil, line{slog.LevelWarn, "hand-back stopped", false}, line{slog.LevelInfo, "owed writes handed back", false})
	case resilient.KindStale:
		return line{slog.LevelWarn, "stale answer", false}
	case resilient.KindLost:
		return line{slog.LevelError, "writes lost", true}
	}
	return line{slog.LevelDebug, "event", false}
}

func either(is bool, yes, no line) line {
	if is {
		return yes
	}
	return no
}

// changeLine returns the line about a breaker.
func changeLine(e *resilient.Event) line {
	switch e.To {
	case breaker.Open.String():
		return line{slog.LevelWarn, "breaker opened", true}
	case breaker.HalfOpen.String():
		return line{slog.LevelInfo, "breaker half-open", true}
	}
	return line{slog.LevelInfo, "breaker closed", true}
}

// turned reports whether the health check that e tells of had another verdict
// than the one before. A store is taken for healthy until it is known, and
// one that cannot tell gives no verdict.
func (o *Observer) turned(e *resilient.Event) bool {
	if errors.Is(e.Err, resilient.ErrHealthUnknown) {
		return false
	}
	src := source{e.Group, e.Store}
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.sick[src]
	o.sick[src] = e.Err != nil
	return was != (e.Err != nil)
}

// attributes returns what e says.
func attributes(e *resilient.Event) []slog.Attr {
	a := make([]slog.Attr, 0, 12)
	text := func(key, value string) {
		if value != "" {
			a = append(a, slog.String(key, value))
		}
	}
	text("group", e.Group)
	text("backend", e.Store)
	switch e.Kind {
	case resilient.KindCall, resilient.KindDone:
		a = append(a, slog.String("op", e.Op.String()), slog.String("error_class", e.Class.String()), slog.Duration("dur", e.Duration))
	case resilient.KindProbe:
		a = append(a, slog.String("error_class", e.Class.String()), slog.Duration("dur", e.Duration))
	case resilient.KindHandedBack:
		if e.Class != resilient.OK {
			a = append(a, slog.String("error_class", e.Class.String()))
		}
	case resilient.KindOwed:
		a = append(a, slog.String("op", e.Op.String()), slog.Duration("dur", e.Duration))
	case resilient.KindStale:
		a = append(a, slog.String("op", e.Op.String()))
	case resilient.KindChange:
		if e.Duration > 0 {
			a = append(a, slog.Duration("open_for", e.Duration))
		}
	}
	text("from", e.From)
	text("to", e.To)
	text("reason", e.Reason)
	if e.Attempt > 0 {
		a = append(a, slog.Int("attempt", e.Attempt))
	}
	if e.Count > 0 {
		a = append(a, slog.Int("count", e.Count))
	}
	if e.Age > 0 {
		a = append(a, slog.Duration("age", e.Age))
	}
	if e.Degraded {
		a = append(a, slog.Bool("degraded", true))
	}
	text("error", redact(e.Err))
	return a
}
