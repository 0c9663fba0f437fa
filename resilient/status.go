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
	InFlight   int // calls under way
	Members    []Status
}

// Reporter is implemented by everything that has a Status.
type Reporter interface{ Status() Status }

// Check is the outcome of one health check.
type Check struct {
	Time    time.Time     // when it ended
	Latency time.Duration // how long it took
	Slow    bool          // longer than Probe.SlowAfter
	Err     error         // nil if healthy
}
