package kvstatus

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// gap keeps a number and its unit on one line.
const gap = "\u00a0"

// span says how long something takes or took, in two units at most.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	two := func(a int, unit string, b int, next string) string {
		if b == 0 {
			return fmt.Sprintf("%d"+gap+"%s", a, unit)
		}
		return fmt.Sprintf("%d"+gap+"%s"+gap+"%d"+gap+"%s", a, unit, b, next)
	}
	switch {
	case days > 0:
		return two(days, "d", hours, "h")
	case hours > 0:
		return two(hours, "h", minutes, "min")
	case minutes > 0:
		return two(minutes, "min", seconds, "s")
	}
	return fmt.Sprintf("%d"+gap+"s", seconds)
}

// latency says how long a call took, with two significant digits.
func latency(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d < u.unit {
			continue
		}
		v := float64(d) / float64(u.unit)
		if v >= 9.95 {
			return fmt.Sprintf("%.0f"+gap+"%s", v, u.name)
		}
		return fmt.Sprintf("%.1f"+gap+"%s", v, u.name)
	}
	return fmt.Sprintf("%d"+gap+"ns", d.Nanoseconds())
}

// atLeast says a time that may be short.
func atLeast(d time.Duration) string {
	if d < time.Second {
		return latency(d)
	}
	return span(d)
}

// number writes n with commas.
func number[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate says how many there are in a second.
func rate(perSecond float64) string {
	if perSecond == 0 || perSecond >= 9.95 {
		return number(int(perSecond + 0.5))
	}
	return fmt.Sprintf("%.1f", perSecond)
}

func size(bytes int64) string {
	v, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	if unit == "B" || v >= 9.95 {
		return fmt.Sprintf("%.0f %s", v, unit)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// counted says how many of something there are.
func counted[T int | int64](n T, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// clock is a time of day, with the date if that is another.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Truncate(24 * time.Hour).Equal(now.Truncate(24 * time.Hour)) {
		return t.Format("15:04:05") + " UTC"
	}
	return t.Format("2006-01-02 15:04:05") + " UTC"
}

// what says what an event tells, in one sentence without its time.
func (n *entry) what() string {
	var s string
	switch n.kind {
	case resilient.KindChange:
		s = fmt.Sprintf("breaker of %s: %s, was %s", n.store, n.to, n.from)
		if n.to == "open" && n.took > 0 {
			s += ", for at least " + atLeast(n.took)
		}
	case resilient.KindSwitch:
		s = n.switched()
	case resilient.KindOwed:
		return fmt.Sprintf("%s missed %s", n.store, counted(n.times.Load(), "write", "writes"))
	case resilient.KindHandedBack:
		s = fmt.Sprintf("%s handed back to %s", counted(n.times.Load(), "owed write", "owed writes"), n.store)
		if n.stopped() {
			s = fmt.Sprintf("%s handed back to %s, then it stopped: %s", counted(n.count, "owed write", "owed writes"), n.store, n.class)
		}
	case resilient.KindStale:
		return fmt.Sprintf("the cache answered %s in place of %s", counted(n.times.Load(), "call", "calls"), n.store)
	case resilient.KindLost:
		s = fmt.Sprintf("%s owed to %s given up", counted(n.count, "write", "writes"), n.store)
	case resilient.KindProbe:
		s = n.checked()
	default:
		s = n.kind.String() + " " + n.store
	}
	if n.reason != "" {
		s += ": " + n.reason
	}
	if n.text != "" {
		s += " (" + n.text + ")"
	}
	return s
}

// stopped reports whether a pass of hand-back ended with an error.
func (n *entry) stopped() bool { return n.kind == resilient.KindHandedBack && !n.runs }

func (n *entry) switched() string {
	switch {
	case n.to == "" || n.nobody:
		return "nobody serves, " + n.from + " did"
	case n.from == "":
		return n.to + " serves"
	case n.back:
		return n.to + " serves again, " + n.from + " did"
	}
	return n.to + " serves in place of " + n.from
}

func (n *entry) checked() string {
	switch {
	case n.failedCheck:
		return fmt.Sprintf("health check of %s: %s after %s", n.store, n.class, latency(n.took))
	case n.slow:
		return fmt.Sprintf("health check of %s is slow: %s", n.store, latency(n.took))
	}
	return fmt.Sprintf("health check of %s is good: %s", n.store, latency(n.took))
}

// weight is how much an event matters: "bad", "warn", "good" or "".
func (n *entry) weight() string {
	switch n.kind {
	case resilient.KindLost:
		return "bad"
	case resilient.KindSwitch:
		if n.back {
			return "good"
		}
		return "bad"
	case resilient.KindChange:
		return map[string]string{"open": "bad", "closed": "good"}[n.to]
	case resilient.KindProbe:
		if n.failedCheck || n.slow {
			return "warn"
		}
	case resilient.KindOwed, resilient.KindStale:
		return "warn"
	case resilient.KindHandedBack:
		if n.stopped() {
			return "warn"
		}
	}
	return ""
}

func join(parts ...string) string {
	var said []string
	for _, s := range parts {
		if s != "" {
			said = append(said, s)
		}
	}
	return strings.Join(said, ", ")
}
