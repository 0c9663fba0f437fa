package resilient

import "time"

// Condition is what an operator wants to know first.
type Condition uint8

// The conditions.
const (
	Unknown  Condition = iota // no verdict yet, or the store cannot tell
	Up                        // serves
	Degraded                  // serves, but not as it should
	Down                      // does not serve
)

var conditionNames = [...]string{"unknown", "up", "degraded", "down"}

// String returns "unknown", "up", "degraded" or "down".
func (c Condition) String() string {
	if int(c) < len(conditionNames) {
		return conditionNames[c]
	}
	return "unknown"
}

// Status is a snapshot of a store or of a group of stores.
type Status struct {
	Name      string
	Kind      string // what BackendName says of the store; "failover" for a group
	Condition Condition
	State     string    // of the breaker; "" for a group
	Since     time.Time // when State, or for a group Active, was entered
	Reason    string    // why
	Forced    bool      // State is held by Breaker.Force
	LastProbe Check     // zero before the first check has ended

	Active     string // group: who serves
	ReadOnly   bool   // group: it serves reads, but takes no write
	Drained    bool   // member of a group: taken out by the operator
	Owed       int    // writes that members have not got yet
	OwedBytes  int64
	OldestOwed time.Time
	HandBack   HandBackStatus // member of a group: why it does not get what it is owed
	Journal    JournalStatus  // group: what keeps it from keeping what is owed
	InFlight   int            // calls under way
	Members    []Status
}

// HandBackStatus says why a member does not get the writes that it is owed though
// its health checks are good. It is zero while the member gets some, is owed
// none, or has not been tried.
type HandBackStatus struct {
	Since  time.Time // since when it has got nothing
	Reason string    // why, in constant words
	Class  Class     // of the latest error; OK if there is none and it has to wait
	Err    error     // the latest; nil if it has to wait
}

// JournalStatus says what is wrong with the journal of a group. It is zero while
// the journal takes records.
type JournalStatus struct {
	State string    // JournalFull, JournalRefusing or JournalRecovering; "" = it takes records
	Since time.Time // when State was entered
	Err   error     // the latest error; nil if it is full
}

// The states of a journal that does not take all records.
const (
	JournalFull       = "full"       // it had no room for a write, and has none still: such writes are refused
	JournalRefusing   = "refusing"   // its latest change failed and left it as it was
	JournalRecovering = "recovering" // a change failed, its file is being made anew, and all are refused until that succeeds
)

// Reporter is implemented by everything that has a Status.
type Reporter interface{ Status() Status }

// Check is the outcome of one health check.
type Check struct {
	Time    time.Time     // when it ended
	Latency time.Duration // how long it took
	Slow    bool          // longer than Probe.SlowAfter
	Err     error         // nil if healthy
}
