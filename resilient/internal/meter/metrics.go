package meter

import "strings"

// Kind is how a metric's numbers move.
type Kind uint8

// The kinds.
const (
	KindCounter       Kind = iota // only rises; told by events
	KindHistogram                 // told by events
	KindUpDownCounter             // read from a Status; may be summed
	KindGauge                     // read from a Status
)

// ID names a metric within this package.
type ID int

// The metrics.
const (
	OperationDuration ID = iota
	OperationAttempts
	Retries
	AmbiguousWrites
	BreakerCalls
	BreakerTransitions
	Rejections
	Panics
	CheckDuration
	Failovers
	JournalAppends
	JournalReplays
	JournalSyncDuration
	LostWrites
	StaleAge
	BreakerStatus
	BackendStatus
	BackendActive
	BackendOwed
	GroupStatus
	JournalEntries
	JournalSize
	JournalOldest
	JournalStatus
	StalledAge
	InFlight

	metricCount
)

// The labels. They are OpenTelemetry's attribute names.
const (
	labelGroup        = "holdfast.group"
	labelBackend      = "holdfast.backend"
	labelOperation    = "holdfast.operation"
	labelOutcome      = "holdfast.outcome"
	labelReason       = "holdfast.reason"
	labelBreakerState = "holdfast.breaker.state"
	labelStateFrom    = "holdfast.breaker.state.from"
	labelStateTo      = "holdfast.breaker.state.to"
	labelJournalState = "holdfast.journal.state"
	labelState        = "holdfast.backend.state"
	labelFrom         = "holdfast.failover.from"
	labelTo           = "holdfast.failover.to"
	labelDirection    = "holdfast.failover.direction"
)

// Metric is one thing that is measured.
type Metric struct {
	Name    string // OpenTelemetry's
	Kind    Kind
	Unit    string // UCUM: "s", "By", "1", or what is counted, "{call}"
	Help    string
	Labels  []string  // OpenTelemetry's; not to be changed
	Buckets []float64 // of a histogram; upper bounds, not to be changed
}

// Of returns what is known of a metric.
func Of(id ID) Metric { return metrics[id] }

// All returns every ID, in the order of the documentation.
func All() []ID {
	ids := make([]ID, metricCount)
	for i := range ids {
		ids[i] = ID(i)
	}
	return ids
}

// PromName returns the name of the metric in Prometheus: what OpenTelemetry's
// exporter makes of Name with underscores and suffixes. Of all units "s" and
// "By" become a suffix; "1" would on a Gauge alone, of which there is none.
func (m Metric) PromName() string {
	name := PromLabel(m.Name)
	switch m.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	}
	if m.Kind == KindCounter {
		name += "_total"
	}
	return name
}

// PromLabel returns the name of a label in Prometheus.
func PromLabel(label string) string { return strings.ReplaceAll(label, ".", "_") }

// Upper bounds of histograms. Those of durations are what OpenTelemetry's
// semantic conventions ask of db.client.operation.duration.
var (
	durations     = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}
	attemptCounts = []float64{1, 2, 3, 4, 6, 8}
	syncDurations = []float64{.0005, .001, .005, .01, .05, .1, .5, 1}
	ages          = []float64{1, 5, 15, 60, 300, 900, 3600}
)

var metrics = [metricCount]Metric{
	OperationDuration: {
		"holdfast.operation.duration", KindHistogram, "s", "Calls as their callers saw them, retries and failover included, by who answered.",
		[]string{labelGroup, labelBackend, labelOperation, labelOutcome}, durations,
	},
	OperationAttempts: {
		"holdfast.operation.attempts", KindHistogram, "{attempt}", "Attempts that a call of a store outside of a group took.",
		[]string{labelOperation, labelOutcome}, attemptCounts,
	},
	Retries: {
		"holdfast.retries", KindCounter, "{retry}", "Attempts after the first.",
		[]string{labelGroup, labelBackend}, nil,
	},
	AmbiguousWrites: {
		"holdfast.writes.ambiguous", KindCounter, "{write}", "Writes of which the caller does not know whether they were applied.",
		[]string{labelGroup, labelBackend}, nil,
	},
	BreakerCalls: {
		"holdfast.breaker.calls", KindCounter, "{call}", "Attempts at a store, as its breaker saw them.",
		[]string{labelGroup, labelBackend, labelOutcome}, nil,
	},
	BreakerTransitions: {
		"holdfast.breaker.transitions", KindCounter, "{transition}", "Changes of a breaker's state.",
		[]string{labelGroup, labelBackend, labelStateFrom, labelStateTo, labelReason}, nil,
	},
	Rejections: {
		"holdfast.bulkhead.rejections", KindCounter, "{call}", "Attempts refused because too many calls were in flight.",
		[]string{labelGroup, labelBackend}, nil,
	},
	Panics: {
		"holdfast.panics", KindCounter, "{panic}", "Panics of the wrapped store that were contained.",
		[]string{labelGroup, labelBackend}, nil,
	},
	CheckDuration: {
		"holdfast.health.check.duration", KindHistogram, "s", "Health checks.",
		[]string{labelGroup, labelBackend, labelOutcome}, durations,
	},
	Failovers: {
		"holdfast.failovers", KindCounter, "{failover}", "Changes of the member that a group tries first.",
		[]string{labelGroup, labelFrom, labelTo, labelDirection, labelReason}, nil,
	},
	JournalAppends: {
		"holdfast.journal.appends", KindCounter, "{entry}", "Writes that came to be owed to a member.",
		[]string{labelGroup, labelBackend}, nil,
	},
	JournalReplays: {
		"holdfast.journal.replays", KindCounter, "{entry}", "Owed writes handed back, and passes of hand-back that a member stopped.",
		[]string{labelGroup, labelBackend, labelOutcome}, nil,
	},
	JournalSyncDuration: {
		"holdfast.journal.sync.duration", KindHistogram, "s", "How long the journal took to keep a write that is owed.",
		[]string{labelGroup}, syncDurations,
	},
	LostWrites: {
		"holdfast.writes.lost", KindCounter, "{write}", "Owed writes that were given up.",
		[]string{labelGroup, labelBackend, labelReason}, nil,
	},
	StaleAge: {
		"holdfast.cache.stale.age", KindHistogram, "s", "Ages of values that a cache answered with in place of the store.",
		[]string{labelBackend}, ages,
	},
	BreakerStatus: {
		"holdfast.breaker.status", KindUpDownCounter, "1", "1 for the state that the breaker is in.",
		[]string{labelGroup, labelBackend, labelBreakerState}, nil,
	},
	BackendStatus: {
		"holdfast.backend.status", KindUpDownCounter, "1", "1 for the condition that the store is in.",
		[]string{labelGroup, labelBackend, labelState}, nil,
	},
	BackendActive: {
		"holdfast.backend.active", KindUpDownCounter, "1", "1 for the member that calls try first.",
		[]string{labelGroup, labelBackend}, nil,
	},
	BackendOwed: {
		"holdfast.backend.owed", KindUpDownCounter, "{write}", "Writes that the member has not got yet.",
		[]string{labelGroup, labelBackend}, nil,
	},
	GroupStatus: {
		"holdfast.group.status", KindUpDownCounter, "1", "1 for the condition that the group is in.",
		[]string{labelGroup, labelState}, nil,
	},
	JournalEntries: {
		"holdfast.journal.entry.count", KindUpDownCounter, "{entry}", "Keys that some member has not got yet.",
		[]string{labelGroup}, nil,
	},
	JournalSize: {
		"holdfast.journal.size", KindUpDownCounter, "By", "Keys and values that some member has not got yet.",
		[]string{labelGroup}, nil,
	},
	JournalOldest: {
		"holdfast.journal.oldest_entry.age", KindGauge, "s", "For how long the oldest owed write has been owed.",
		[]string{labelGroup}, nil,
	},
	JournalStatus: {
		"holdfast.journal.status", KindUpDownCounter, "1", "1 for the state that the journal is in.",
		[]string{labelGroup, labelJournalState}, nil,
	},
	StalledAge: {
		"holdfast.backend.stalled.age", KindGauge, "s", "For how long the member has got nothing of what it is owed though it is not away.",
		[]string{labelGroup, labelBackend}, nil,
	},
	InFlight: {
		"holdfast.bulkhead.call.active", KindUpDownCounter, "{call}", "Calls under way.",
		[]string{labelGroup, labelBackend}, nil,
	},
}
