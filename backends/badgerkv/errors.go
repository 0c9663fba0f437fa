package badgerkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/resilient"
)

// knownErrors are badger's errors that may come out of a call; their text
// holds no key.
var knownErrors = []error{
	badger.ErrConflict, badger.ErrBlockedWrites, badger.ErrDBClosed, badger.ErrTxnTooBig, badger.ErrReadOnlyTxn,
	badger.ErrBannedKey, badger.ErrInvalidKey, badger.ErrEmptyKey, badger.ErrDiscardedTxn, badger.ErrInvalidRequest,
	badger.ErrTruncateNeeded, badger.ErrEncryptionKeyMismatch,
}

// concealed is an error of badger whose text may hold keys or values, as hex
// dumps. It unwraps to it.
type concealed struct{ err error }

func (c concealed) Error() string { return "unexpected error of badger" }
func (c concealed) Unwrap() error { return c.err }

// conceal makes err safe to print: an error that is known by name stays itself.
func conceal(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range knownErrors {
		if errors.Is(err, known) {
			return known
		}
	}
	var p *embedded.Panic
	if errors.As(err, &p) {
		return p
	}
	return concealed{err}
}

// ambiguous says that a write may have been applied. It hides that err itself
// may claim the contrary, for the part of the write that it is about.
func ambiguous(err error) error {
	if errors.Is(err, resilient.ErrRefused) {
		return fmt.Errorf("badgerkv: %w: %v", resilient.ErrAmbiguous, err)
	}
	return fmt.Errorf("badgerkv: %w: %w", resilient.ErrAmbiguous, err)
}

// refused says what err, which came before a commit, means.
func (k *KV) refused(err error) error {
	if k.db.IsClosed() {
		err = badger.ErrDBClosed // whatever the call came across when its owner closed it
	}
	switch err = conceal(err); {
	case errors.Is(err, badger.ErrTxnTooBig):
		return fmt.Errorf("badgerkv: %w: %w", resilient.ErrValueTooLarge, err)
	case errors.Is(err, badger.ErrBannedKey), errors.Is(err, badger.ErrInvalidKey):
		return fmt.Errorf("badgerkv: %w: %w", resilient.ErrInvalidKey, err)
	}
	return fmt.Errorf("badgerkv: %w: %w", resilient.ErrRefused, err)
}

// commitError says what the failure of a commit means. All but a few that
// badger decides before it writes leave its files in doubt, and break the
// store until it is opened anew.
func (k *KV) commitError(err error) error {
	err = conceal(err)
	switch {
	case errors.Is(err, badger.ErrConflict):
		return fmt.Errorf("badgerkv: %w", err)
	case errors.Is(err, badger.ErrBlockedWrites), errors.Is(err, badger.ErrDBClosed), errors.Is(err, badger.ErrTxnTooBig):
		return k.refused(err)
	}
	k.faults.add(err)
	return ambiguous(err)
}

// Classify knows the errors of this package and those of badger.
func (k *KV) Classify(err error) resilient.Class {
	switch {
	case err == nil:
		return resilient.OK
	case errors.Is(err, resilient.ErrAmbiguous):
		return resilient.Failed
	case errors.Is(err, badger.ErrKeyNotFound):
		return resilient.Missing
	case errors.Is(err, badger.ErrConflict):
		return resilient.Conflict
	case errors.Is(err, resilient.ErrRefused), errors.Is(err, badger.ErrBlockedWrites), errors.Is(err, badger.ErrDBClosed),
		errors.Is(err, badger.ErrReadOnlyTxn), errors.Is(err, badger.ErrTruncateNeeded), errors.Is(err, badger.ErrEncryptionKeyMismatch):
		return resilient.Refused
	case errors.Is(err, badger.ErrEmptyKey), errors.Is(err, badger.ErrInvalidKey), errors.Is(err, badger.ErrBannedKey),
		errors.Is(err, badger.ErrTxnTooBig):
		return resilient.Invalid
	}
	return resilient.OK
}

// ended reports whether a read ended because of its caller or of Close.
func ended(err error) bool {
	return errors.Is(err, resilient.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
