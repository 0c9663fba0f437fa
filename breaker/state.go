package breaker

// State is the state of a Breaker.
type State uint8

// The states.
const (
	Closed   State = iota // calls pass
	HalfOpen              // a few trial calls pass
	Open                  // calls are refused
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	}
	return "unknown"
}

// Outcome is what a finished call says about the store.
type Outcome uint8

// The outcomes.
const (
	Success Outcome = iota // the store answered
	Failure                // the store did not serve the call
	Ignored                // says nothing about the store
)

// String returns "success", "failure" or "ignored".
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case Ignored:
		return "ignored"
	}
	return "unknown"
}
