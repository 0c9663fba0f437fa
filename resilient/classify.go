package resilient

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// Class says what an error means for breaker, retry and failover.
type Class uint8

// The classes.
const (
	OK       Class = iota // answered; from a Classifier for a non-nil error: don't know
	Missing               // the key is not there: an answer
	Invalid               // the call itself is wrong
	Canceled              // the caller's ctx ended
	Conflict              // the store rolled the call back; it may be tried again
	Refused               // certainly not applied
	Failed                // may have been applied
)

var classNames = [...]string{"ok", "missing", "invalid", "canceled", "conflict", "refused", "failed"}

// String returns the class in lower case: "ok", "missing", ...
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// DefaultClassify returns the class of err as far as it can be told without
// knowing the driver: it knows the errors of this package, those of packages
// net and os, and errors with a method NotFound() bool. Everything else is
// Failed. It does not return Canceled: whose deadline ended is for the caller
// to say, who has the contexts.
func DefaultClassify(err error) Class {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrNotFound):
		return Missing
	}
	return classOfFailure(err)
}

// classOfFailure is apart from DefaultClassify because it allocates, which a
// miss must not.
func classOfFailure(err error) Class {
	var inner *Error
	if errors.As(err, &inner) && inner.Class != OK && inner.Class != Canceled && !errors.Is(err, ErrAmbiguous) {
		return inner.Class // of a Store inside the one that asks
	}
	var nf interface{ NotFound() bool }
	switch {
	case errors.Is(err, ErrAmbiguous): // before all that says that nothing was applied
		return Failed
	case errors.Is(err, ErrEmptyKey), errors.Is(err, ErrInvalidKey),
		errors.Is(err, ErrKeyTooLarge), errors.Is(err, ErrValueTooLarge):
		return Invalid
	case errors.Is(err, ErrRefused), errors.Is(err, ErrClosed):
		return Refused
	case errors.As(err, &nf) && nf.NotFound():
		return Missing
	case neverSent(err):
		return Refused
	}
	return Failed
}

// neverSent reports whether err can only have come before a byte was sent: a
// connection that was not made, a file that could not be opened, a device
// that takes no writes. Where several errors are joined, those of several tries,
// each has to be such a one: an earlier try may have been applied.
func neverSent(err error) bool {
	for err != nil {
		if beforeSending(err) {
			return true
		}
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			errs := several.Unwrap()
			return len(errs) > 0 && !slices.ContainsFunc(errs, func(one error) bool { return !neverSent(one) })
		}
		err = errors.Unwrap(err)
	}
	return false
}

// beforeSending is neverSent for err itself, whatever it wraps.
func beforeSending(err error) bool {
	switch e := err.(type) { //nolint:errorlint // neverSent unwraps
	case *net.OpError:
		return e.Op == "dial"
	case *net.DNSError:
		return true
	case *fs.PathError:
		return e.Op == "open"
	case syscall.Errno:
		return e == syscall.ECONNREFUSED || e == syscall.ENOSPC || e == syscall.EDQUOT || e == syscall.EROFS || e.Is(os.ErrPermission)
	}
	return err == os.ErrPermission //nolint:errorlint // as above
}

// NotFoundIs returns a classifier for Config.Classify that takes the given
// errors, a foreign store's own sentinels, for misses.
func NotFoundIs(errs ...error) func(error) Class {
	errs = append([]error(nil), errs...)
	return func(err error) Class {
		for _, target := range errs {
			if errors.Is(err, target) {
				return Missing
			}
		}
		return OK
	}
}

// endedBy returns the class of a call that failed while ctx was over: Canceled
// if the caller ended it, Failed if Holdfast's own deadline did, and Canceled
// too, with nothing to be learned from it, if Holdfast no longer needed the
// call. ok is false while ctx goes on.
func endedBy(ctx context.Context) (c Class, ok bool) {
	if ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), ErrTimeout) {
			return Failed, true
		}
		return Canceled, true
	}
	// A driver that sets the deadline on its socket can be back before the
	// context's own timer has run.
	deadline, ok := ctx.Deadline()
	if !ok || time.Now().Before(deadline) {
		return OK, false
	}
	if ours(ctx) {
		return Failed, true
	}
	return Canceled, true
}
