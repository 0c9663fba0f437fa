package etcdkv

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// classOf returns what err, of a request, means; Failed for all that is not
// known to leave the store as it was.
//
// rpctypes.ErrNoSpace is Failed: the server says so before it applies a write
// that is too much, but also after it has applied one that went over the quota
// together with others (quotaApplierV3 in its source).
func classOf(err error) resilient.Class {
	switch {
	case errors.As(err, new(unsent)):
		return resilient.Refused
	case isAny(err, rpctypes.ErrEmptyKey, rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey,
		rpctypes.ErrPermissionDenied):
		return resilient.Invalid
	case isAny(err, rpctypes.ErrNoLeader, rpctypes.ErrNotCapable, rpctypes.ErrTooManyRequests,
		rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner)):
		return resilient.Refused // said before the request is proposed to the others
	case isAny(err, rpctypes.ErrCorrupt, rpctypes.ErrAuthFailed, rpctypes.ErrInvalidAuthToken, rpctypes.ErrUserEmpty,
		rpctypes.ErrAuthOldRevision):
		return resilient.Refused // said in place of applying it
	}
	return resilient.Failed
}

// explain makes one error of what ended a request.
func explain(ctx context.Context, writes bool, err error) error {
	if errors.Is(err, rpctypes.ErrRequestTooLarge) {
		err = fmt.Errorf("%w: %w", resilient.ErrValueTooLarge, err)
	}
	return guard.Explain("etcdkv", ctx, classOf(err), writes, err)
}

// explainPart is explain for a part of a batch: once an earlier part has been
// applied, the batch may have been, whatever became of this one.
func explainPart(ctx context.Context, first bool, err error) error {
	if first {
		return explain(ctx, true, err)
	}
	return guard.Explain("etcdkv", ctx, resilient.Failed, true, err)
}

// Classify knows the errors of this package and those of etcd's servers.
func (k *KV) Classify(err error) resilient.Class {
	if class, ok := guard.Judged(err); ok {
		return class
	}
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return classOf(err)
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
