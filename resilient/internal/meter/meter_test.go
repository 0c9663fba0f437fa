package meter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ledger is a Maker that keeps its series in a map.
type ledger map[string]*entry

// entry is a series, of either kind.
type entry struct{ count, sum float64 }

func (e *entry) Add(_ context.Context, n int64)      { e.count += float64(n) }
func (e *entry) Record(_ context.Context, v float64) { e.count++; e.sum += v }

func (l ledger) at(id ID, values []string) *entry {
	key := Of(id).Name + " " + strings.Join(values, ",")
	if l[key] == nil {
		l[key] = &entry{}
	}
	return l[key]
}

func (l ledger) Counter(id ID, values ...string) Counter     { return l.at(id, values) }
func (l ledger) Histogram(id ID, values ...string) Histogram { return l.at(id, values) }

// moved returns the series that an event changes, and by how much.
func moved(e resilient.Event) map[string]entry {
	l := ledger{}
	New(l).Observe(context.Background(), &e)
	all := map[string]entry{}
	for name, s := range l {
		if *s != (entry{}) {
			all[name] = *s
		}
	}
	return all
}

// once is a series that counted one.
var once = entry{count: 1}

func TestEachEventIsCountedWhereItBelongs(t *testing.T) {
	failed := errors.New("failed")
	type event = resilient.Event
	for _, c := range []struct {
		name string
		e    event
		want map[string]entry
	}{
		{"a good attempt", event{Kind: resilient.KindCall, Store: "s", Attempt: 1},
			map[string]entry{"holdfast.breaker.calls ,s,success": once}},
		{"a miss", event{Kind: resilient.KindCall, Store: "s", Attempt: 1, Class: resilient.Missing, Err: resilient.ErrNotFound},
			map[string]entry{"holdfast.breaker.calls ,s,success": once}},
		{"a retry that fails", event{Kind: resilient.KindCall, Group: "g", Store: "s", Attempt: 2, Class: resilient.Failed, Err: failed},
			map[string]entry{"holdfast.breaker.calls g,s,failure": once, "holdfast.retries g,s": once}},
		{"the store's refusal", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Refused, Err: failed},
			map[string]entry{"holdfast.breaker.calls ,s,failure": once}},
		{"the breaker's refusal", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Refused, Reason: "open", Err: breaker.ErrOpen},
			map[string]entry{"holdfast.breaker.calls ,s,not_permitted": once}},
		{"the refusal of a breaker below", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Refused, Outcome: "ignored", Err: &breaker.OpenError{}},
			map[string]entry{"holdfast.breaker.calls ,s,ignored": once}},
		{"a batch that a bad value stopped half-way", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Failed, Outcome: "success", Err: failed},
			map[string]entry{"holdfast.breaker.calls ,s,success": once}},
		{"a caller that left, as a store tells it", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Canceled, Outcome: "ignored", Err: context.Canceled},
			map[string]entry{"holdfast.breaker.calls ,s,ignored": once}},
		{"an outage", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Refused, Outcome: "failure", Err: failed},
			map[string]entry{"holdfast.breaker.calls ,s,failure": once}},
		{"a caller that left", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Canceled, Err: context.Canceled},
			map[string]entry{"holdfast.breaker.calls ,s,ignored": once}},
		{"too many calls", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Refused, Reason: "busy", Err: resilient.ErrBusy},
			map[string]entry{"holdfast.bulkhead.rejections ,s": once}},
		{"a panic", event{Kind: resilient.KindCall, Store: "s", Class: resilient.Failed, Err: &resilient.PanicError{}},
			map[string]entry{"holdfast.breaker.calls ,s,failure": once, "holdfast.panics ,s": once}},
		{"a store's call", event{Kind: resilient.KindDone, Store: "s", Op: resilient.OpBatchGet, Attempt: 3, Duration: time.Second},
			map[string]entry{"holdfast.operation.duration ,s,batch_get,ok": {1, 1}, "holdfast.operation.attempts batch_get,ok": {1, 3}}},
		{"a store's call that was not tried", event{Kind: resilient.KindDone, Store: "s", Op: resilient.OpSet, Class: resilient.Invalid, Duration: time.Second},
			map[string]entry{"holdfast.operation.duration ,s,set,invalid": {1, 1}}},
		{"a store's write that timed out", event{Kind: resilient.KindDone, Store: "s", Op: resilient.OpSet, Class: resilient.Failed, Ambiguous: true, Err: resilient.ErrTimeout},
			map[string]entry{"holdfast.operation.duration ,s,set,timeout": once, "holdfast.writes.ambiguous ,s": once}},
		{"a group's call", event{Kind: resilient.KindDone, Group: "g", Store: "s", Op: resilient.OpGet},
			map[string]entry{"holdfast.operation.duration g,s,get,ok": once}},
		{"a group's own answer", event{Kind: resilient.KindDone, Group: "g", Store: "g", Op: resilient.OpGet, Class: resilient.Missing},
			map[string]entry{"holdfast.operation.duration g,g,get,not_found": once}},
		{"a group's call that nobody answered", event{Kind: resilient.KindDone, Group: "g", Op: resilient.OpSet, Class: resilient.Failed, Ambiguous: true, Err: failed},
			map[string]entry{"holdfast.operation.duration g,none,set,error": once, "holdfast.writes.ambiguous g,none": once}},
		{"a member's failure as the group's answer", event{Kind: resilient.KindDone, Group: "g", Store: "s", Op: resilient.OpSet, Class: resilient.Conflict, Err: failed},
			map[string]entry{"holdfast.operation.duration g,s,set,rejected": once}},
		{"a check", event{Kind: resilient.KindProbe, Store: "s", Duration: time.Second},
			map[string]entry{"holdfast.health.check.duration ,s,ok": {1, 1}}},
		{"a slow check", event{Kind: resilient.KindProbe, Store: "s", Slow: true},
			map[string]entry{"holdfast.health.check.duration ,s,slow": once}},
		{"a check that knows nothing", event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Failed, Err: resilient.ErrHealthUnknown},
			map[string]entry{"holdfast.health.check.duration ,s,unknown": once}},
		{"a check that hung", event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Failed, Slow: true, Err: resilient.ErrTimeout},
			map[string]entry{"holdfast.health.check.duration ,s,timeout": once}},
		{"a check that was refused", event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Refused, Err: failed},
			map[string]entry{"holdfast.health.check.duration ,s,rejected": once}},
		{"a check that panicked", event{Kind: resilient.KindProbe, Store: "s", Class: resilient.Failed, Err: &resilient.PanicError{}},
			map[string]entry{"holdfast.health.check.duration ,s,error": once, "holdfast.panics ,s": once}},
		{"a breaker", event{Kind: resilient.KindChange, Store: "s", From: "closed", To: "open", Reason: "5 failed calls in a row"},
			map[string]entry{"holdfast.breaker.transitions ,s,closed,open,consecutive": once}},
		{"a switch", event{Kind: resilient.KindSwitch, Group: "g", Store: "b", From: "a", To: "b", Reason: "a call timed out", Count: 9},
			map[string]entry{"holdfast.failovers g,a,b,failover,automatic": once}},
		{"a way back", event{Kind: resilient.KindSwitch, Group: "g", From: "b", To: "a", Back: true, Reason: "failback by the operator"},
			map[string]entry{"holdfast.failovers g,b,a,failback,manual": once}},
		{"a switch to a member that is away too", event{Kind: resilient.KindSwitch, Group: "g", From: "b", To: "a", Nobody: true, Reason: "a call timed out"},
			map[string]entry{"holdfast.failovers g,b,none,failover,automatic": once}},
		{"nobody left", event{Kind: resilient.KindSwitch, Group: "g", From: "b", Reason: "drained by the operator"},
			map[string]entry{"holdfast.failovers g,b,none,failover,drain": once}},
		{"an owed batch", event{Kind: resilient.KindOwed, Group: "g", Store: "a", Count: 4, Duration: time.Second},
			map[string]entry{"holdfast.journal.appends g,a": {count: 4}, "holdfast.journal.sync.duration g": {1, 1}}},
		{"a hand-back", event{Kind: resilient.KindHandedBack, Group: "g", Store: "a", Count: 4},
			map[string]entry{"holdfast.journal.replays g,a,applied": {count: 4}}},
		{"a hand-back that stopped", event{Kind: resilient.KindHandedBack, Group: "g", Store: "a", Count: 4, Err: failed},
			map[string]entry{"holdfast.journal.replays g,a,applied": {count: 4}, "holdfast.journal.replays g,a,failed": once}},
		{"a stale answer", event{Kind: resilient.KindStale, Store: "s", Age: time.Minute},
			map[string]entry{"holdfast.cache.stale.age s": {1, 60}}},
		{"a loss", event{Kind: resilient.KindLost, Group: "g", Store: "a", Count: 4, Reason: "discarded by the operator"},
			map[string]entry{"holdfast.writes.lost g,a,discarded": {count: 4}}},
		{"a loss at the end", event{Kind: resilient.KindLost, Group: "g", Store: "a", Count: 4, Reason: "closed"},
			map[string]entry{"holdfast.writes.lost g,a,closed": {count: 4}}},
	} {
		require.Equal(t, c.want, moved(c.e), c.name)
	}
}

// story is a way of a real breaker through its states.
func story(t *testing.T, cfg breaker.Config, play func(b *breaker.Breaker)) (changes []breaker.Change) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.OnChange = func(c breaker.Change) { changes = append(changes, c) }
		b, err := breaker.New(cfg)
		require.NoError(t, err)
		play(b)
		synctest.Wait()
		b.Close()
	})
	return changes
}

func call(b *breaker.Breaker, o breaker.Outcome) {
	if p, err := b.Allow(); err == nil {
		p.Done(o, nil)
	}
}

// The words are taken from the breaker's own sentences: if one of those
// changes, this test says so.
func TestEveryReasonOfARealBreakerHasItsWord(t *testing.T) {
	bad := errors.New("bad")
	trip := func(b *breaker.Breaker) {
		for range 5 {
			call(b, breaker.Failure)
		}
	}
	sick := func(b *breaker.Breaker, checks int) {
		for range checks {
			b.ReportHealth(bad)
		}
	}
	well := func(b *breaker.Breaker, checks int) {
		time.Sleep(1500 * time.Millisecond) // longer than OpenFor, and not so long that nobody seems to check
		for range checks {
			b.ReportHealth(nil)
		}
	}
	seen := map[string]bool{}
	for name, s := range map[string]struct {
		cfg  breaker.Config
		play func(b *breaker.Breaker)
		want []string // from-to-reason
	}{
		"calls in a row, good checks, good trials": {breaker.Config{}, func(b *breaker.Breaker) {
			b.ExpectChecks(true)
			trip(b)
			well(b, 2)
			call(b, breaker.Success)
			call(b, breaker.Success)
		}, []string{"closed-open-consecutive", "open-half_open-probe_ok", "half_open-closed-trial_ok"}},
		"one call": {breaker.Config{Failures: 1, Trials: 1}, func(b *breaker.Breaker) {
			b.ExpectChecks(false)
			call(b, breaker.Failure)
			time.Sleep(time.Minute)
			call(b, breaker.Success)
		}, []string{"closed-open-consecutive", "open-half_open-elapsed", "half_open-closed-trial_ok"}},
		"a share of the calls, a bad trial": {breaker.Config{Failures: -1, Rate: 0.5, MinCalls: 4}, func(b *breaker.Breaker) {
			b.ExpectChecks(false)
			for range 4 {
				call(b, breaker.Failure)
			}
			time.Sleep(time.Minute)
			call(b, breaker.Failure)
		}, []string{"closed-open-failure_rate", "open-half_open-elapsed", "half_open-open-trial_failed"}},
		"bad checks, good checks": {breaker.Config{}, func(b *breaker.Breaker) {
			b.ExpectChecks(true)
			sick(b, 3)
			well(b, 2)
		}, []string{"closed-open-health", "open-half_open-probe_ok", "half_open-closed-probe_ok"}},
		"one bad check, a relapse": {breaker.Config{Fall: 1}, func(b *breaker.Breaker) {
			b.ExpectChecks(true)
			sick(b, 1)
			well(b, 1)
			sick(b, 1)
		}, []string{"closed-open-health", "open-half_open-probe_ok", "half_open-open-probe_failed"}},
		"a check that confirms a doubt": {breaker.Config{}, func(b *breaker.Breaker) {
			b.ExpectChecks(true)
			b.Doubt()
			v := b.StartCheck()
			v.Done(bad)
		}, []string{"closed-open-health"}},
		"by hand": {breaker.Config{}, func(b *breaker.Breaker) {
			require.NoError(t, b.Force(breaker.Open, "5 failed calls in a row"))
			require.NoError(t, b.Force(breaker.Closed, ""))
			require.NoError(t, b.Force(breaker.Open, ""))
			b.Release()
		}, []string{"closed-open-manual", "open-closed-manual", "closed-open-manual", "open-closed-manual"}},
	} {
		var got []string
		for _, c := range story(t, s.cfg, s.play) {
			reason := transitionReason(c.Reason)
			from, to := breakerState(c.From.String(), false), breakerState(c.To.String(), false)
			got = append(got, from+"-"+to+"-"+reason)
			expected := false
			for _, known := range transitions {
				expected = expected || known.from == from && known.to == to && slices.Contains(known.reasons, reason)
			}
			require.True(t, expected, "%s: %s has a series from the start", name, got[len(got)-1])
			seen[reason] = true
		}
		require.Equal(t, s.want, got, name)
	}
	require.Len(t, seen, 9, "every word but other")
	require.Equal(t, reasonOther, transitionReason("anything else"))
}

func TestS10_NoWordIsMadeOfWhatAnEventSays(t *testing.T) {
	require.Equal(t, switchManual, switchReason("forced open: drained"))
	require.Equal(t, switchAutomatic, switchReason("canary"))
	require.Equal(t, reasonOther, lostReason("canary"))
	require.Empty(t, breakerState("canary", true))
}

func TestMetricsFollowTheNamingRules(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range All() {
		m := Of(id)
		require.False(t, seen[m.PromName()], m.Name)
		seen[m.PromName()] = true
		require.True(t, strings.HasPrefix(m.Name, "holdfast."))
		require.Equal(t, strings.ToLower(m.Name), m.Name)
		require.NotContains(t, m.Name, "total")
		require.NotEmpty(t, m.Help)
		require.NotEmpty(t, m.Unit)
		require.NotEmpty(t, m.Labels)
		require.Equal(t, m.Kind == KindHistogram, m.Buckets != nil)
		require.True(t, slices.IsSorted(m.Buckets))
		require.False(t, m.Kind == KindGauge && m.Unit == "1", "it would need the suffix _ratio")
	}
}

// A store is found among more than a few, and one name is three sources.
func TestSourcesAreFoundHoweverManyThereAre(t *testing.T) {
	m := New(ledger{})
	var all []*series
	for i := range 3 * few {
		for as := range aCached + 1 {
			all = append(all, m.of(strings.Repeat("g", i), "s", as))
		}
	}
	for i, s := range all {
		require.Same(t, s, m.of(strings.Repeat("g", i/4), "s", role(i%4)))
	}
}

// fixed is a Reporter that always says the same.
type fixed resilient.Status

func (f fixed) Status() resilient.Status { return resilient.Status(f) }

// A Reporter of somebody else's may put groups into groups.
func TestAGroupInAGroupIsReadAsAMemberAndAsAGroup(t *testing.T) {
	l := ledger{}
	m := New(l)
	inner := resilient.Status{Name: "inner", State: "closed", Condition: resilient.Degraded, Active: "b", Members: []resilient.Status{
		{Name: "a", State: "open", Condition: resilient.Down}, {Name: "b", State: "closed", Condition: resilient.Up},
	}}
	m.Watch(fixed{Name: "outer", Condition: resilient.Up, Active: "inner", Members: []resilient.Status{inner, {Name: "c", State: "closed"}}})
	holds := []string{}
	for _, r := range m.Read() {
		if id := r.ID; r.Value == 1 && (id == BackendStatus || id == GroupStatus || id == BackendActive) {
			holds = append(holds, Of(id).Name+" "+strings.Join(r.Values, ","))
		}
	}
	require.Equal(t, []string{
		"holdfast.group.status outer,healthy", "holdfast.backend.active outer,inner", "holdfast.backend.status outer,inner,degraded",
		"holdfast.group.status inner,degraded", "holdfast.backend.status inner,a,unhealthy",
		"holdfast.backend.active inner,b", "holdfast.backend.status inner,b,healthy", "holdfast.backend.status outer,c,unknown",
	}, holds)
	for _, series := range []string{
		"holdfast.breaker.calls outer,inner,success", "holdfast.breaker.calls inner,a,success", "holdfast.failovers inner,a,b,failover,automatic",
		"holdfast.cache.stale.age inner", "holdfast.writes.ambiguous inner,none",
	} {
		require.Contains(t, l, series)
	}
	require.NotContains(t, l, "holdfast.retries ,inner", "it is no store outside of groups")

	endless := resilient.Status{Name: "g"}
	for range 100 {
		endless = resilient.Status{Name: "g", Members: []resilient.Status{endless}}
	}
	require.NotPanics(t, func() { m.Watch(fixed(endless)) })
}

func TestTheJournalsStateAndAStalledHandBackAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for state, word := range map[string]string{"": "ok", "full": "full", "refusing": "refusing", "recovering": "recovering", "canary": ""} {
			m := New(ledger{})
			st := fixed{Name: "g", Journal: resilient.JournalStatus{State: state}, Members: []resilient.Status{
				{Name: "a", HandBack: resilient.HandBackStatus{Since: time.Now().Add(-time.Minute)}}, {Name: "b"},
			}}
			m.Watch(&st)
			var holds []string
			stalled := map[string]float64{}
			for _, r := range m.Read() {
				if r.ID == JournalStatus && r.Value == 1 {
					holds = append(holds, r.Values[1])
				}
				if r.ID == StalledAge {
					stalled[r.Values[1]] = r.Value
				}
			}
			require.Equal(t, word, strings.Join(holds, " "))
			require.Equal(t, map[string]float64{"a": 60, "b": 0}, stalled)
		}
	})
}
