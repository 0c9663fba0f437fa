package kvstatus

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// serves reports whether reads, or reads and writes, can be served. A store
// that no check has judged yet is let through, as calls to it are.
func (r *reading) serves(readOnly bool) bool {
	return r.known && r.Condition != resilient.Down && (readOnly || !r.ReadOnly)
}

// serveReady answers a readiness probe: with 200 if all that is watched can be
// used.
func (p *Page) serveReady(w http.ResponseWriter, r *http.Request) {
	readings := p.read()
	readOnly := wanted(r.URL.Query(), "readonly")
	if len(readings) == 0 {
		answer(w, http.StatusServiceUnavailable, plain, "not ready: nothing is watched\n")
		return
	}
	degraded := false
	for i := range readings {
		if !readings[i].serves(readOnly) {
			answer(w, http.StatusServiceUnavailable, plain, "not ready\n")
			return
		}
		degraded = degraded || readings[i].Condition != resilient.Up
	}
	if degraded {
		answer(w, http.StatusOK, plain, "ready, degraded\n")
		return
	}
	answer(w, http.StatusOK, plain, "ready\n")
}

// wanted reports whether a query has a flag that it does not take back: ?name or
// ?name=true, but not ?name=false.
func wanted(query url.Values, name string) bool {
	on, err := strconv.ParseBool(query.Get(name))
	return query.Has(name) && (on || err != nil)
}

// The words of /health are fixed.
const (
	healthy   = "healthy"
	degraded  = "degraded"
	unhealthy = "unhealthy"
	unknown   = "unknown" // of a member only
)

// healthJSON is the answer of /health. The first four fields are those that
// health pages commonly have.
type healthJSON struct {
	Status    string               `json:"status"`
	Timestamp time.Time            `json:"timestamp"`
	Backend   string               `json:"backend"`
	Error     string               `json:"error,omitempty"`
	Checks    map[string]checkJSON `json:"checks"`
}

// checkJSON is what is known of one store.
type checkJSON struct {
	Status    string     `json:"status"`
	State     string     `json:"state,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	Time      *time.Time `json:"time,omitempty"` // of the latest health check
	LatencyMS *float64   `json:"latency_ms,omitempty"`
	Slow      bool       `json:"slow,omitempty"`
	Error     string     `json:"error,omitempty"`
}

func (p *Page) serveHealth(w http.ResponseWriter) {
	h := healthJSON{Status: healthy, Timestamp: time.Now().UTC(), Checks: map[string]checkJSON{}}
	var backends, faults []string
	readings := p.read()
	for i := range readings {
		r := &readings[i]
		name := nameOf(&r.Status)
		p.check(h.Checks, "", &r.Status, r.known, 0)
		switch {
		case !r.known:
			h.Status = unhealthy
			faults = append(faults, name+" does not say how it is")
		case r.Condition == resilient.Down:
			h.Status = unhealthy
			faults = append(faults, name+" is down")
		case r.Condition != resilient.Up && h.Status == healthy:
			h.Status = degraded
		}
		if r.Active != "" {
			name = clip(r.Active)
		}
		backends = append(backends, name)
	}
	if len(readings) == 0 {
		h.Status = unhealthy
		faults = append(faults, "nothing is watched")
	}
	h.Backend, h.Error = strings.Join(backends, ", "), strings.Join(faults, "; ")
	code := http.StatusOK
	if h.Status == unhealthy {
		code = http.StatusServiceUnavailable
	}
	answerJSON(w, code, h)
}

// check adds what is known of a store, or of a group and its members, whose
// names begin with the group's.
func (p *Page) check(all map[string]checkJSON, prefix string, st *resilient.Status, known bool, level int) {
	name := free(all, prefix+nameOf(st))
	c := checkJSON{Status: conditionWord(st.Condition), State: st.State, Since: moment(st.Since), Slow: st.LastProbe.Slow}
	if !known {
		c = checkJSON{Status: unknown}
	} else if last := st.LastProbe; !last.Time.IsZero() {
		ms := float64(last.Latency.Microseconds()) / 1000
		c.Time, c.LatencyMS, c.Error = moment(last.Time), &ms, p.fault(last.Err)
	}
	all[name] = c
	if level < depth {
		for i := range st.Members {
			p.check(all, name+"/", &st.Members[i], known, level+1)
		}
	}
}

// free returns name, or, where two stores have it, what no store has yet.
func free(taken map[string]checkJSON, name string) string {
	unique := name
	for n := 2; ; n++ {
		if _, ok := taken[unique]; !ok {
			return unique
		}
		unique = fmt.Sprintf("%s-%d", name, n)
	}
}

func conditionWord(c resilient.Condition) string {
	switch c {
	case resilient.Up:
		return healthy
	case resilient.Degraded:
		return degraded
	case resilient.Down:
		return unhealthy
	}
	return unknown
}

// shown is what is shown of an error.
type shown string

func (s shown) Error() string { return string(s) }

// readable returns st with its errors as they are shown, so that nothing foreign
// is called while an answer is made, and without what no answer can say.
func (p *Page) readable(st resilient.Status, level int) resilient.Status {
	if st.Condition > resilient.Down {
		st.Condition = resilient.Unknown
	}
	for _, t := range []*time.Time{&st.Since, &st.OldestOwed, &st.LastProbe.Time, &st.HandBack.Since, &st.Journal.Since} {
		*t = writable(*t)
	}
	if err := st.LastProbe.Err; err != nil {
		st.LastProbe.Err = shown(p.fault(err))
	}
	st.HandBack.Err, st.Journal.Err = p.spoken(st.HandBack.Err), p.spoken(st.Journal.Err)
	members := st.Members
	st.Members = nil
	if level > depth {
		return st
	}
	for i := range members {
		st.Members = append(st.Members, p.readable(members[i], level+1))
	}
	return st
}

// writable returns t, or the zero time if JSON has no such time.
func writable(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return time.Time{}
	}
	return t
}

// spoken returns err as it is shown, nil if it is not.
func (p *Page) spoken(err error) error {
	if text := p.text(err); text != "" {
		return shown(text)
	}
	return nil
}

// words returns what spoken has made of an error.
func (p *Page) words(err error) string {
	s, _ := err.(shown) //nolint:errorlint // it wraps nothing
	return string(s)
}

// fault returns what is shown of a health check's error: its class, and its text
// if that is wanted.
func (p *Page) fault(err error) string {
	if err == nil {
		return ""
	}
	if s, ok := err.(shown); ok { //nolint:errorlint // it wraps nothing
		return string(s)
	}
	said := "failed"
	switch {
	case errors.Is(err, resilient.ErrHealthUnknown):
		said = unknown
	case errors.Is(err, resilient.ErrTimeout):
		said = "timed out"
	case errors.Is(err, resilient.ErrRefused):
		said = "refused"
	}
	if text := p.text(err); text != "" {
		said += ": " + text
	}
	return said
}

// depth bounds how deep groups in groups are looked at.
const depth = 4

// nameOf returns what a store or group is called.
func nameOf(st *resilient.Status) string {
	if st.Name == "" {
		return clip(st.Kind)
	}
	return clip(st.Name)
}

// moment returns t in UTC; nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// answerJSON sends v, which can be marshaled.
func answerJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		answer(w, http.StatusInternalServerError, plain, "no JSON can be made of it\n")
		return
	}
	answer(w, code, "application/json", append(body, '\n'))
}
