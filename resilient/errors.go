package resilient

import (
	"errors"
	"fmt"
)

// Answers and refusals of bad input. All are matched with errors.Is.
var (
	// ErrNotFound says that the key is not there. It is an answer, not a failure.
	ErrNotFound = errors.New("holdfast: key not found")
	// ErrEmptyKey refuses the empty key, before any I/O.
	ErrEmptyKey = errors.New("holdfast: empty key")
	// ErrInvalidKey refuses a key outside the key domain or one that the store
	// cannot hold byte for byte, before any I/O.
	ErrInvalidKey = errors.New("holdfast: invalid key")
	// ErrKeyTooLarge refuses a key that is too long, before any I/O.
	ErrKeyTooLarge = errors.New("holdfast: key too large")
	// ErrValueTooLarge refuses a value that is too long; the old one is kept.
	ErrValueTooLarge = errors.New("holdfast: value too large")
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("holdfast: store is closed")
)

// What became of a call that was not answered.
var (
	// ErrUnavailable says that the store could not serve the call.
	ErrUnavailable = errors.New("holdfast: store unavailable")
	// ErrRefused says that the store could not serve the call and that
	// certainly nothing was applied. It matches ErrUnavailable too.
	ErrRefused error = &narrower{"holdfast: refused, nothing was applied", ErrUnavailable}
	// ErrAmbiguous says that a write may or may not have been applied. It
	// matches ErrUnavailable too.
	ErrAmbiguous error = &narrower{"holdfast: ambiguous, the write may have been applied", ErrUnavailable}
	// ErrBusy says that Config.MaxInFlight calls, or the calls that Detach may
	// leave behind, are under way already. It matches ErrRefused.
	ErrBusy error = &narrower{"holdfast: too many calls in flight", ErrRefused}
	// ErrHealthUnknown is the Health of a store that cannot tell: neither
	// healthy nor evidence against it.
	ErrHealthUnknown = errors.New("holdfast: health unknown")
)

// Causes (context.Cause) of a context that Holdfast itself ended.
var (
	// ErrTimeout is the cause when a deadline of ours passed.
	ErrTimeout = errors.New("holdfast: timeout")
	// ErrSuperseded is the cause when the call is no longer needed.
	ErrSuperseded = errors.New("holdfast: superseded")
)

// narrower is a sentinel that is a case of a wider one.
type narrower struct {
	text  string
	wider error
}

func (n *narrower) Error() string { return n.text }
func (n *narrower) Unwrap() error { return n.wider }

// Error is a call that a Store did not answer. It matches ErrUnavailable,
// ErrRefused and ErrAmbiguous as its class and operation say, and unwraps to
// what the store returned. It holds no key, no value and no DSN, unless a store
// of somebody else's has put one into the text of Err.
type Error struct {
	Op       Op
	Store    string // Config.Name
	Class    Class
	Attempts int   // tries that reached the store; 0 if none did
	Err      error // the reason
}

// Error returns one line that names the operation, the store, the class and
// the reason.
func (e *Error) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s on %s: %s after %d attempts: %v", e.Op, e.Store, e.Class, e.Attempts, e.Err)
	}
	return fmt.Sprintf("%s on %s: %s: %v", e.Op, e.Store, e.Class, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel of e's class.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return e.Class == Refused || e.Class == Failed || e.Class == Conflict || e.ambiguous()
	case ErrRefused:
		return e.Class == Refused || e.Class == Conflict
	case ErrAmbiguous:
		return e.ambiguous()
	}
	return false
}

// ambiguous reports whether e is a write that may have been applied: one that
// failed, or one whose caller left after it had been handed to the store.
func (e *Error) ambiguous() bool {
	return e.Op.Writes() && (e.Class == Failed || e.Class == Canceled && e.Attempts > 0)
}

// maybeApplied is what a store said last of a write that may have been applied
// before: in part, or by an earlier attempt. If that was a refusal, the write
// does not match ErrRefused for it.
type maybeApplied struct{ err error }

func (m *maybeApplied) Error() string        { return m.err.Error() }
func (m *maybeApplied) Is(target error) bool { return target != ErrRefused && errors.Is(m.err, target) }
func (m *maybeApplied) As(target any) bool   { return errors.As(m.err, target) }
