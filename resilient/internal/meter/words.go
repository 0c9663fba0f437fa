package meter

import (
	"errors"
	"strings"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// outcome is how a call ended, as its caller has to act on it.
type outcome uint8

const (
	ok       outcome = iota
	notFound         // an answer
	invalid          // the call itself was wrong
	canceled         // the caller left
	rejected         // certainly not applied
	timeout          // our deadline; a write may have been applied
	failed           // a write may have been applied
	outcomeCount
)

var outcomeWords = [outcomeCount]string{"ok", "not_found", "invalid", "canceled", "rejected", "timeout", "error"}

// outcomeOf returns how a call ended that was told with class and err.
func outcomeOf(class resilient.Class, err error) outcome {
	switch class {
	case resilient.OK:
		return ok
	case resilient.Missing:
		return notFound
	case resilient.Invalid:
		return invalid
	case resilient.Canceled:
		return canceled
	case resilient.Refused, resilient.Conflict:
		return rejected
	}
	if errors.Is(err, resilient.ErrTimeout) {
		return timeout
	}
	return failed
}

// operations are the words for resilient.Op.
func operation(op resilient.Op) string { return strings.ReplaceAll(op.String(), "-", "_") }

// verdict is what the breaker makes of an attempt.
type verdict uint8

const (
	success verdict = iota
	failure
	ignored
	notPermitted
	verdictCount
)

var verdictWords = [verdictCount]string{"success", "failure", "ignored", "not_permitted"}

// verdictOf returns what the breaker made of the attempt that e tells of. A Store
// says it; in the events of others the class does.
func verdictOf(e *resilient.Event) verdict {
	switch e.Outcome {
	case breaker.Success.String():
		return success
	case breaker.Failure.String():
		return failure
	case breaker.Ignored.String():
		return ignored
	}
	switch e.Class {
	case resilient.OK, resilient.Missing, resilient.Invalid, resilient.Conflict:
		return success
	case resilient.Canceled:
		return ignored
	}
	if e.Reason == "open" {
		return notPermitted
	}
	return failure
}

// The outcomes of health checks.
const (
	checkOK      = "ok"
	checkSlow    = "slow"
	checkUnknown = "unknown"
)

// checkWords are all outcomes of health checks.
var checkWords = [...]string{checkOK, checkSlow, checkUnknown, outcomeWords[rejected], outcomeWords[timeout], outcomeWords[failed]}

// checkOutcome returns how the health check ended that e tells of.
func checkOutcome(e *resilient.Event) string {
	switch {
	case errors.Is(e.Err, resilient.ErrHealthUnknown):
		return checkUnknown
	case e.Err == nil && e.Slow:
		return checkSlow
	case e.Err == nil:
		return checkOK
	case errors.Is(e.Err, resilient.ErrTimeout):
		return outcomeWords[timeout]
	case e.Class == resilient.Refused:
		return outcomeWords[rejected]
	}
	return outcomeWords[failed]
}

// The states of a breaker.
const (
	stateClosed     = "closed"
	stateHalfOpen   = "half_open"
	stateOpen       = "open"
	stateForcedOpen = "forced_open"
	stateDisabled   = "disabled" // forced closed: it stops nothing
)

var breakerStates = [...]string{stateClosed, stateHalfOpen, stateOpen, stateForcedOpen, stateDisabled}

// breakerState returns the word for a breaker's state as Status or a Change
// event has it.
func breakerState(state string, forced bool) string {
	switch state {
	case breaker.Closed.String():
		if forced {
			return stateDisabled
		}
		return stateClosed
	case breaker.HalfOpen.String():
		return stateHalfOpen
	case breaker.Open.String():
		if forced {
			return stateForcedOpen
		}
		return stateOpen
	}
	return ""
}

// conditions are the words for resilient.Condition.
var conditions = [...]string{
	resilient.Unknown: "unknown", resilient.Up: "healthy", resilient.Degraded: "degraded", resilient.Down: "unhealthy",
}

// The reasons of a breaker's changes.
const (
	reasonConsecutive = "consecutive"  // failed calls in a row
	reasonRate        = "failure_rate" // share of failed calls
	reasonHealth      = "health"       // failed health checks
	reasonProbeOK     = "probe_ok"     // good health checks
	reasonProbeFailed = "probe_failed" // a failed check of a half-open breaker
	reasonTrialOK     = "trial_ok"
	reasonTrialFailed = "trial_failed"
	reasonElapsed     = "elapsed" // open for long enough, without health checks
	reasonManual      = "manual"  // Force or Release
	reasonOther       = "other"
)

// transitionReason returns the word for the reason of a breaker's change. The
// breaker makes its reasons of fixed words, figures and, behind "forced open"
// and "released", what the operator said.
func transitionReason(reason string) string {
	has := func(part string) bool { return strings.Contains(reason, part) }
	switch {
	case strings.HasPrefix(reason, "forced "), strings.HasPrefix(reason, "released"):
		return reasonManual
	case has("failed health check"):
		return reasonHealth
	case has("failed call"):
		return reasonConsecutive
	case has("calls failed in"):
		return reasonRate
	case has("good health check"):
		return reasonProbeOK
	case has("health check failed"):
		return reasonProbeFailed
	case has("good trial call"):
		return reasonTrialOK
	case has("trial call failed"):
		return reasonTrialFailed
	case has("open time over"):
		return reasonElapsed
	}
	return reasonOther
}

// The reasons and directions of switches.
const (
	switchAutomatic = "automatic"
	switchManual    = "manual"
	switchDrain     = "drain"

	directionAway = "failover"
	directionBack = "failback"

	nobody = "none" // in place of a store's name
)

var switchReasons = [...]string{switchAutomatic, switchManual, switchDrain}

// switchReason returns the word for the reason of a switch.
func switchReason(reason string) string {
	switch {
	case strings.HasPrefix(reason, "drained"):
		return switchDrain
	case strings.HasSuffix(reason, "by the operator"), transitionReason(reason) == reasonManual:
		return switchManual
	}
	return switchAutomatic
}

// The outcomes of hand-backs.
const (
	replayApplied = "applied"
	replayFailed  = "failed"
)

// The reasons for which writes are given up.
const (
	lostClosed    = "closed"
	lostDiscarded = "discarded"
)

// lostReason returns the word for the reason of a Lost event.
func lostReason(reason string) string {
	switch {
	case reason == lostClosed:
		return lostClosed
	case strings.HasPrefix(reason, lostDiscarded):
		return lostDiscarded
	}
	return reasonOther
}

// orNobody returns name, or "none" if there is none.
func orNobody(name string) string {
	if name == "" {
		return nobody
	}
	return name
}

// journalStates are the states of a journal.
var journalStates = [...]string{"ok", resilient.JournalFull, resilient.JournalRefusing, resilient.JournalRecovering}

// journalState returns the word for a journal's state; "" for one that is not
// known.
func journalState(state string) string {
	if state == "" {
		return journalStates[0]
	}
	for _, known := range journalStates[1:] {
		if state == known {
			return known
		}
	}
	return ""
}
