package boltkv

import (
	"errors"
	"fmt"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/backends/internal/embedded"
	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// maxKey is the longest key of the contract; bbolt itself allows 32768 bytes.
const maxKey = 512

var (
	errReadOnly = refused(berrors.ErrDatabaseReadOnly)
	errNoBucket = fmt.Errorf("the namespace's bucket is gone: %w", berrors.ErrBucketNotFound)
)

// refused wraps an error after which certainly nothing was applied.
func refused(err error) error {
	if errors.Is(err, resilient.ErrRefused) {
		return err
	}
	if errors.Is(err, berrors.ErrIncompatibleValue) {
		// Somebody else has nested a bucket at this key: the store cannot hold it.
		return fmt.Errorf("boltkv: %w: %w", resilient.ErrInvalidKey, err)
	}
	return fmt.Errorf("boltkv: %w: %w", resilient.ErrRefused, err)
}

// certain reports whether err says that nothing was applied.
func certain(err error) bool { return errors.Is(err, resilient.ErrRefused) }

func panicked(err error) bool {
	var p *embedded.Panic
	return errors.As(err, &p)
}

// lacksSpace reports whether a commit failed for want of space, or of the
// right to write, and nothing else.
func lacksSpace(err error) bool {
	for _, target := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, berrors.ErrMaxSizeReached,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Classify knows the errors of this package and those of bbolt.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	switch {
	case isAny(err, berrors.ErrKeyRequired, berrors.ErrKeyTooLarge, berrors.ErrValueTooLarge, berrors.ErrIncompatibleValue):
		return resilient.Invalid
	case isAny(err, berrors.ErrDatabaseNotOpen, berrors.ErrDatabaseReadOnly, berrors.ErrTimeout, berrors.ErrMaxSizeReached,
		berrors.ErrBucketNotFound, berrors.ErrInvalidMapping, berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch,
		berrors.ErrTxNotWritable):
		return resilient.Refused
	}
	return resilient.OK
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
