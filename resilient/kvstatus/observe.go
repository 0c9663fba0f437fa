package kvstatus

import (
	"context"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/holdfastkv/holdfast/resilient"
)

// Observe takes note of e. It does not wait for anybody who looks at the page,
// and allocates nothing for calls.
func (p *Page) Observe(_ context.Context, e resilient.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	switch e.Kind {
	case resilient.KindCall:
		if e.Group == "" {
			return // its Done says the same
		}
		if r := p.records.of(source{e.Group, e.Store}); r != nil {
			r.calls.add(e.Time, outcomeOf(e.Class), e.Duration)
		}
	case resilient.KindDone:
		if r := p.records.of(caller(&e)); r != nil {
			r.calls.add(e.Time, outcomeOf(e.Class), e.Duration)
		}
	case resilient.KindOwed:
		if r := p.records.of(source{e.Group, e.Store}); r != nil {
			p.run(&r.owed, &e)
		}
	case resilient.KindHandedBack:
		if e.Err != nil {
			p.note(&e)
		} else if r := p.records.of(source{e.Group, e.Store}); r != nil {
			p.run(&r.back, &e)
		}
	case resilient.KindStale:
		p.noteStale(&e)
	default:
		p.note(&e)
	}
}

// noteStale takes note of a cache's answer. It is told of the group or the
// store that the cache stands for, and no event says which of them it is.
func (p *Page) noteStale(e *resilient.Event) {
	r := p.records.find(source{group: e.Store})
	if r == nil {
		r = p.records.of(source{store: e.Store})
	}
	if r == nil {
		return
	}
	r.calls.add(e.Time, stale, 0)
	p.run(&r.stale, e)
}

// run counts e in the run that goes on, or begins one.
func (p *Page) run(of *atomic.Pointer[entry], e *resilient.Event) {
	now := of.Load()
	if now != nil && now.join(e) {
		return
	}
	n := newEntry(e, p.text(e.Err))
	n.runs = true
	if of.CompareAndSwap(now, n) {
		p.log.add(n)
	} else if now = of.Load(); now != nil {
		now.join(e)
	}
}

// note takes note of what happens seldom.
func (p *Page) note(e *resilient.Event) {
	r := p.records.of(source{e.Group, e.Store})
	switch e.Kind {
	case resilient.KindProbe:
		if r == nil || !r.checked(e) {
			return
		}
	case resilient.KindChange:
		if r != nil {
			r.turned(turn{e.Time, e.From, e.To, clip(e.Reason)})
		}
	case resilient.KindSwitch:
		if r = p.records.of(source{group: e.Group}); r != nil {
			r.turned(turn{e.Time, e.From, e.To, clip(e.Reason)})
		}
	}
	p.log.add(newEntry(e, p.text(e.Err)))
	if e.Kind != resilient.KindProbe {
		p.news.Add(1)
		p.viewers.wake()
	}
}

// text returns what is shown of err's own text.
func (p *Page) text(err error) string {
	if !p.cfg.WithErrors {
		return ""
	}
	return textOf(err)
}

// textOf returns err's text, whatever its method does.
func textOf(err error) (text string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			text = "an error that cannot be read"
		}
	}()
	return clip(err.Error())
}

// maxText bounds each text on the page, in bytes.
const maxText = 300

// clip shortens what is too long to be shown.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
