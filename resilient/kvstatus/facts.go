package kvstatus

import (
	"fmt"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// verdict says who serves, in one sentence.
func verdict(st *resilient.Status) string {
	if len(st.Members) == 0 {
		switch {
		case st.Condition == resilient.Down:
			return nameOf(st) + " does not serve."
		case st.Condition == resilient.Degraded:
			return nameOf(st) + " serves, but not as it should."
		case st.Condition == resilient.Unknown:
			return nameOf(st) + " is let through: nothing is known of its health."
		}
		return nameOf(st) + " serves."
	}
	first, active := nameOf(&st.Members[0]), clip(st.Active)
	said := active + " serves"
	switch {
	case st.Condition == resilient.Down || active == "":
		return "Nobody serves."
	case active != first:
		said += " in place of " + first
	case st.Condition == resilient.Degraded:
		if away := awayOf(st); away != "" {
			said += ", without " + away
		} else if st.Owed > 0 {
			said += ", and owes writes to others"
		}
	}
	if st.Journal.State != "" {
		said += ". The journal " + journalWords(&st.Journal)
	}
	if st.ReadOnly {
		said += ". No writes are taken"
	}
	return said + "."
}

// awayOf names the members that do not serve.
func awayOf(st *resilient.Status) string {
	var away []string
	for i := range st.Members {
		if m := &st.Members[i]; m.Condition == resilient.Down || m.Drained {
			away = append(away, nameOf(m))
		}
	}
	return strings.Join(away, ", ")
}

// groupFacts answer what an operator asks first: who, since when, why, and what
// is owed.
func (p *Page) groupFacts(st *resilient.Status, now time.Time) []factView {
	serves, since, why := clip(st.Active), st.Since, clip(st.Reason)
	down := st.Condition == resilient.Down || serves == ""
	if down {
		serves = "nobody"
		for i := range st.Members { // since the last one went
			if m := &st.Members[i]; m.Since.After(since) {
				since, why = m.Since, join(nameOf(m), clip(m.Reason))
			}
		}
	}
	if why == "" {
		why = "it is the most wanted"
	}
	owed := factView{Question: "Owed", Answer: "nothing"}
	if st.Owed > 0 {
		owed.Alarm = true
		owed.Answer = counted(st.Owed, "write", "writes")
		owed.More = size(st.OwedBytes)
		if !st.OldestOwed.IsZero() {
			owed.More += ", the oldest for " + span(now.Sub(st.OldestOwed))
		}
		for i := range st.Members {
			if m := &st.Members[i]; m.Owed > 0 {
				owed.More += fmt.Sprintf("; %s to %s", number(m.Owed), nameOf(m))
			}
		}
	}
	sinceFact := factView{Question: "Since", Answer: "the start"}
	if !since.IsZero() {
		sinceFact = factView{Question: "Since", Answer: clock(since, now), More: span(now.Sub(since))}
	}
	facts := []factView{{Question: "Serves", Answer: serves, Alarm: down}, sinceFact, {Question: "Why", Answer: why}, owed}
	if j := &st.Journal; j.State != "" {
		facts = append(facts, factView{Question: "Journal", Answer: join(journalWords(j), p.words(j.Err)), More: span(now.Sub(j.Since)), Alarm: true})
	}
	return facts
}

// journalWords says what is wrong with a journal.
func journalWords(j *resilient.JournalStatus) string {
	switch j.State {
	case resilient.JournalFull:
		return "is full"
	case resilient.JournalRefusing:
		return "cannot be written to"
	case resilient.JournalRecovering:
		return "has failed and is being made anew"
	}
	return "is " + clip(j.State)
}

// stallFact says why a member gets nothing of what it is owed.
func (p *Page) stallFact(h *resilient.HandBackStatus, now time.Time) factView {
	return factView{
		Question: "Hand-back", Answer: join(clip(h.Reason), classOf(h), p.words(h.Err)),
		More: "nothing for " + span(now.Sub(h.Since)), Alarm: h.Class != resilient.OK,
	}
}

func (p *Page) checkFact(st *resilient.Status, now time.Time) factView {
	c := st.LastProbe
	f := factView{Question: "Last check", Answer: "none yet"}
	if c.Time.IsZero() {
		return f
	}
	f.Answer = "good in " + latency(c.Latency)
	if c.Slow {
		f.Answer = "slow, good in " + latency(c.Latency)
	}
	switch fault := p.fault(c.Err); {
	case strings.HasPrefix(fault, unknown): // the store cannot tell, which is no fault
		f.Answer = fault
	case c.Err != nil:
		f.Answer, f.Alarm = fault+" after "+latency(c.Latency), true
	}
	f.More = span(now.Sub(c.Time)) + " ago"
	return f
}
