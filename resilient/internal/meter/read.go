package meter

import (
	"slices"
	"strings"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Reading is what a gauge says at this moment.
type Reading struct {
	ID     ID
	Values []string // of the labels, in the metric's order
	Value  float64
}

// depth bounds how deep groups may be in groups.
const depth = 8

// Read asks all watched Reporters for their statuses, side by side and for at
// most a second, and returns what gauges say, each series once and in a stable
// order. A store or group whose status does not come is in condition unknown,
// and its counts are left out. Stores of the same name share their series, of
// which the values are added up; of ages the greatest stands.
func (m *Meter) Read() []Reading {
	m.mu.Lock()
	watched := slices.Clone(m.watched)
	m.mu.Unlock()
	inTime := await(watched)
	r := readings{now: time.Now(), at: map[string]int{}}
	for i, w := range watched {
		st, good := w.said()
		if st == nil {
			continue
		}
		known := good && inTime[i]
		if known {
			m.introduce(st, 0)
		}
		r.status("", st, known, 0)
	}
	return r.all
}

// await asks for all statuses and reports which ended in time.
func await(watched []*watch) (inTime []bool) {
	ended := make([]<-chan struct{}, len(watched))
	for i, w := range watched {
		ended[i] = w.ask()
	}
	late := make(chan struct{})
	defer time.AfterFunc(patience, func() { close(late) }).Stop()
	inTime = make([]bool, len(watched))
	for i, done := range ended {
		select {
		case <-done:
			inTime[i] = true
		case <-late:
			select { // both may have been so
			case <-done:
				inTime[i] = true
			default:
			}
		}
	}
	return inTime
}

// introduce makes the series of the store, or of the groups and their members,
// that st names.
func (m *Meter) introduce(st *resilient.Status, level int) {
	name := nameOf(st)
	m.of("", name, aCached)
	if len(st.Members) == 0 {
		m.of("", name, aStore)
		return
	}
	m.of(name, "", aGroup)
	for i := range st.Members {
		member := nameOf(&st.Members[i])
		m.of(name, member, aMember)
		m.meetPair(name, member, nobody)
		m.meetPair(name, nobody, member)
		for j := range st.Members {
			if i != j {
				m.meetPair(name, member, nameOf(&st.Members[j]))
			}
		}
		if level < depth && len(st.Members[i].Members) > 0 {
			m.introduce(&st.Members[i], level+1)
		}
	}
}

// nameOf returns what the store or group of a status is called.
func nameOf(st *resilient.Status) string {
	if st.Name == "" {
		return st.Kind
	}
	return st.Name
}

// readings are collected from statuses.
type readings struct {
	now time.Time
	all []Reading
	at  map[string]int // where in all a series is
}

// add adds to a series.
func (r *readings) add(value float64, id ID, values ...string) {
	key := string(rune(id)) + strings.Join(values, "\xff") //#nosec G115 -- a few dozen metrics, and no label has such a byte
	i, found := r.at[key]
	switch {
	case !found:
		r.at[key] = len(r.all)
		r.all = append(r.all, Reading{id, values, value})
	case Of(id).Kind == KindGauge:
		r.all[i].Value = max(r.all[i].Value, value)
	default:
		r.all[i].Value += value
	}
}

// oneOf sets of all states the one that holds; "" = none does.
func (r *readings) oneOf(state string, all []string, id ID, values ...string) {
	for _, s := range all {
		r.add(one(s == state), id, append(slices.Clone(values), s)...)
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// status reads the status of a store or a group. known is false if it is not
// of this moment.
func (r *readings) status(group string, st *resilient.Status, known bool, level int) {
	name, condition := label(nameOf(st)), resilient.Unknown
	if known && int(st.Condition) < len(conditions) {
		condition = st.Condition
	}
	if level == 0 && len(st.Members) > 0 {
		r.group(name, st, condition, known, level)
		return
	}
	r.oneOf(conditions[condition], conditions[:], BackendStatus, group, name)
	if st.State != "" {
		state := ""
		if known {
			state = breakerState(st.State, st.Forced)
		}
		r.oneOf(state, breakerStates[:], BreakerStatus, group, name)
	}
	if known {
		r.add(float64(st.InFlight), InFlight, group, name)
	}
	if len(st.Members) > 0 && level < depth {
		r.group(name, st, condition, known, level)
	}
}

// group reads the status of a group and of its members.
func (r *readings) group(name string, st *resilient.Status, condition resilient.Condition, known bool, level int) {
	r.oneOf(conditions[condition], conditions[:], GroupStatus, name)
	if known {
		age := time.Duration(0)
		if !st.OldestOwed.IsZero() {
			age = max(0, r.now.Sub(st.OldestOwed))
		}
		r.add(float64(st.Owed), JournalEntries, name)
		r.add(float64(st.OwedBytes), JournalSize, name)
		r.add(age.Seconds(), JournalOldest, name)
		r.oneOf(journalState(st.Journal.State), journalStates[:], JournalStatus, name)
	}
	for i := range st.Members {
		member := &st.Members[i]
		backend := label(nameOf(member))
		r.add(one(known && member.Name != "" && member.Name == st.Active), BackendActive, name, backend)
		if known {
			r.add(float64(member.Owed), BackendOwed, name, backend)
			stalled := time.Duration(0)
			if since := member.HandBack.Since; !since.IsZero() {
				stalled = max(0, r.now.Sub(since))
			}
			r.add(stalled.Seconds(), StalledAge, name, backend)
		}
		r.status(name, member, known, level+1)
	}
}
