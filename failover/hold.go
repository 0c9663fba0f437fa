package failover

import "time"

// cleanTime is how long a member must stay up to be forgiven one relapse.
const cleanTime = 10 * time.Minute

// hold keeps a member that has come back from being wanted too soon: for After,
// doubled at each relapse. A held member is less wanted, not excluded.
type hold struct {
	relapses int       // doublings of After
	away     bool      // its breaker has opened and not closed since
	cameBack time.Time // when it last closed after having been open; zero = never
	until    time.Time // held until then; zero = not held
	manual   bool      // held until released
}

func (h *hold) holds(now time.Time) bool {
	return h.away || h.manual || now.Before(h.until)
}

// end returns when time alone ends the hold; zero if it does not.
func (h *hold) end(now time.Time) time.Time {
	if h.away || h.manual || !now.Before(h.until) {
		return time.Time{}
	}
	return h.until
}

// left takes note that the member's breaker has opened.
func (h *hold) left(now time.Time) {
	if h.away {
		return
	}
	h.away = true
	if h.cameBack.IsZero() {
		return // the first outage is no relapse
	}
	h.relapses++
	h.relapses -= min(h.relapses, int(now.Sub(h.cameBack)/cleanTime))
}

// back takes note that the member's breaker has closed.
func (h *hold) back(now time.Time, cfg Failback) {
	if !h.away {
		return
	}
	h.away, h.cameBack = false, now
	h.manual = cfg.Manual
	if cfg.After < 0 {
		h.until = time.Time{}
		return
	}
	span := cfg.After
	for n := range h.relapses {
		if span >= cfg.MaxAfter {
			h.relapses = n // more make no difference, and are not to be forgiven first
			break
		}
		span += min(span, cfg.MaxAfter-span) // twice as long can be more than a Duration holds
	}
	h.until = now.Add(span)
}

// release ends the hold of a member that is back.
func (h *hold) release() {
	if !h.away {
		h.until, h.manual = time.Time{}, false
	}
}
