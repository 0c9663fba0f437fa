package kvstatus

import (
	"net/http"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// statusJSON is the answer of /status.json.
type statusJSON struct {
	Time   time.Time   `json:"time"`
	Title  string      `json:"title"`
	Ready  bool        `json:"ready"`
	Stores []storeJSON `json:"stores"`
	Events []eventJSON `json:"events"` // newest first
}

// storeJSON is a store, a group or a member of one.
type storeJSON struct {
	Name       string      `json:"name"`
	Kind       string      `json:"kind"`
	Condition  string      `json:"condition"`
	Known      bool        `json:"known"` // it says so now; else this is what it said last
	State      string      `json:"state,omitempty"`
	Forced     bool        `json:"forced,omitempty"`
	Drained    bool        `json:"drained,omitempty"`
	ReadOnly   bool        `json:"read_only,omitempty"`
	Since      *time.Time  `json:"since,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Active     string      `json:"active,omitempty"`
	Owed       int         `json:"owed"`
	OwedBytes  int64       `json:"owed_bytes,omitempty"`
	OldestOwed *time.Time  `json:"oldest_owed,omitempty"`
	HandBack   *stallJSON  `json:"hand_back,omitempty"` // why it gets nothing of what it is owed
	Journal    *troubleJS  `json:"journal,omitempty"`   // what is wrong with it
	InFlight   int         `json:"in_flight"`
	LastCheck  *checkedJS  `json:"last_check,omitempty"`
	Calls      callsJSON   `json:"calls"`
	Members    []storeJSON `json:"members,omitempty"`
}

// stallJSON is a hand-back that does not get on.
type stallJSON struct {
	Since  *time.Time `json:"since,omitempty"`
	Reason string     `json:"reason"`
	Class  string     `json:"class,omitempty"` // of the latest error
	Error  string     `json:"error,omitempty"`
}

// troubleJS is a journal that does not take all records.
type troubleJS struct {
	State string     `json:"state"`
	Since *time.Time `json:"since,omitempty"`
	Error string     `json:"error,omitempty"`
}

// checkedJS is a health check.
type checkedJS struct {
	Time      time.Time `json:"time"`
	LatencyMS float64   `json:"latency_ms"`
	Slow      bool      `json:"slow,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// callsJSON is what became of calls in the last ten seconds: of a group's or a
// lone store's as their callers saw them, of a member's each attempt.
type callsJSON struct {
	PerSecond map[string]float64 `json:"per_second"`
	P50MS     *float64           `json:"p50_ms,omitempty"`
	P99MS     *float64           `json:"p99_ms,omitempty"`
}

// eventJSON is an event, or a run of events that say the same.
type eventJSON struct {
	Time   time.Time  `json:"time"`
	Until  *time.Time `json:"until,omitempty"` // of the last of a run
	Times  int64      `json:"times,omitempty"`
	Kind   string     `json:"kind"`
	Group  string     `json:"group,omitempty"`
	Store  string     `json:"store,omitempty"`
	From   string     `json:"from,omitempty"`
	To     string     `json:"to,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Class  string     `json:"class,omitempty"`
	Slow   bool       `json:"slow,omitempty"`
	Nobody bool       `json:"nobody,omitempty"` // serves after the switch
	Count  int        `json:"count,omitempty"`
	Error  string     `json:"error,omitempty"`
}

func (p *Page) serveStatus(w http.ResponseWriter) {
	now := time.Now()
	readings := p.read()
	s := statusJSON{Time: now.UTC(), Title: p.cfg.Title, Ready: len(readings) > 0, Stores: []storeJSON{}, Events: []eventJSON{}}
	for i := range readings {
		r := &readings[i]
		s.Ready = s.Ready && r.serves(false)
		s.Stores = append(s.Stores, p.storeJSON(&r.Status, "", r.known, now, 0))
	}
	for _, e := range p.log.newest() {
		s.Events = append(s.Events, e.json())
	}
	answerJSON(w, http.StatusOK, s)
}

// sourceOf returns where the events of a store or a group in group come from.
func sourceOf(st *resilient.Status, group string) source {
	if group == "" && (len(st.Members) > 0 || st.Kind == "failover") {
		return source{group: st.Name}
	}
	return source{group: group, store: st.Name}
}

// recentSeconds is over how many whole seconds rates and latencies are told.
const recentSeconds = 10

func (p *Page) storeJSON(st *resilient.Status, group string, known bool, now time.Time, level int) storeJSON {
	s := storeJSON{
		Name: nameOf(st), Kind: clip(st.Kind), Condition: st.Condition.String(), Known: known, State: st.State, Forced: st.Forced,
		Drained: st.Drained, ReadOnly: st.ReadOnly, Since: moment(st.Since), Reason: clip(st.Reason), Active: clip(st.Active),
		Owed: st.Owed, OwedBytes: st.OwedBytes, OldestOwed: moment(st.OldestOwed), InFlight: st.InFlight,
	}
	if !known {
		s.Condition = resilient.Unknown.String()
	}
	if c := st.LastProbe; !c.Time.IsZero() {
		s.LastCheck = &checkedJS{Time: c.Time.UTC(), LatencyMS: milliseconds(c.Latency), Slow: c.Slow, Error: p.fault(c.Err)}
	}
	if h := st.HandBack; !h.Since.IsZero() {
		s.HandBack = &stallJSON{Since: moment(h.Since), Reason: clip(h.Reason), Class: classOf(&h), Error: p.words(h.Err)}
	}
	if j := st.Journal; j.State != "" {
		s.Journal = &troubleJS{State: clip(j.State), Since: moment(j.Since), Error: p.words(j.Err)}
	}
	var total sum
	if r := p.records.find(sourceOf(st, group)); r != nil {
		total = r.calls.between(now.Unix(), recentSeconds)
	}
	s.Calls = total.json()
	if level < depth {
		for i := range st.Members {
			s.Members = append(s.Members, p.storeJSON(&st.Members[i], st.Name, known, now, level+1))
		}
	}
	return s
}

// classOf returns the class of a hand-back's latest error, "" if it has none.
func classOf(h *resilient.HandBackStatus) string {
	if h.Class == resilient.OK {
		return ""
	}
	return h.Class.String()
}

func (s *sum) json() callsJSON {
	c := callsJSON{PerSecond: map[string]float64{}}
	for how, n := range s.count {
		c.PerSecond[outcomeWords[how]] = float64(n) / recentSeconds
	}
	if d, ok := s.quantile(0.5); ok {
		ms := milliseconds(d)
		c.P50MS = &ms
	}
	if d, ok := s.quantile(0.99); ok {
		ms := milliseconds(d)
		c.P99MS = &ms
	}
	return c
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()/1000) / 1000 }

func (n *entry) json() eventJSON {
	e := eventJSON{
		Time: n.at.UTC(), Kind: n.kind.String(), Group: n.group, Store: n.store, From: n.from, To: n.to, Reason: n.reason,
		Slow: n.slow, Nobody: n.nobody, Count: n.count, Error: n.text,
	}
	if n.kind == resilient.KindProbe || n.stopped() {
		e.Class = n.class.String()
	}
	if n.runs {
		until := time.Unix(0, n.until.Load()).UTC()
		e.Times, e.Until = n.times.Load(), &until
	}
	return e
}
