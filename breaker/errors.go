package breaker

import (
	"errors"
	"fmt"
	"time"
)

// ErrOpen is matched by the error of every refused call. The error itself is
// an *OpenError.
var ErrOpen = errors.New("breaker: open")

// OpenError refuses a call. There is one for each opening; it never changes.
type OpenError struct {
	Since      time.Time     // when the Breaker opened
	RetryAfter time.Duration // the least time that it stays open, counted from Since; 0 if forced
	Reason     string        // why it opened
}

// Error returns one line that says why and since when.
func (e *OpenError) Error() string {
	return fmt.Sprintf("breaker: open since %s: %s", e.Since.Format(time.RFC3339), e.Reason)
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }
