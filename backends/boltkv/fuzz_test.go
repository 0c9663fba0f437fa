package boltkv

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/holdfastkv/holdfast/internal/classtest"
	"github.com/holdfastkv/holdfast/resilient"
)

func FuzzClassify(f *testing.F) {
	classtest.Fuzz(f, (&KV{}).Classify, func(text string) []error {
		return []error{
			berrors.ErrKeyRequired, berrors.ErrValueTooLarge, berrors.ErrIncompatibleValue, berrors.ErrDatabaseNotOpen, berrors.ErrDatabaseReadOnly,
			berrors.ErrTimeout, berrors.ErrMaxSizeReached, berrors.ErrBucketNotFound, berrors.ErrChecksum, berrors.ErrTxClosed,
			errReadOnly, refused(errors.New(text)), refused(berrors.ErrIncompatibleValue), fmt.Errorf("%w: %w", resilient.ErrAmbiguous, syscall.EIO),
		}
	})
}
