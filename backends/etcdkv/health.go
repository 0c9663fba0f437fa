package etcdkv

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// healthKey is where Health reads and does not write, and canaryKey where it
	// does with Config.Canary. A role that may use the namespace may use them,
	// and no key of a caller is one: they begin with a control character.
	healthKey = "\x00health"
	canaryKey = "\x00canary"
	// canaryTTL ends a canary whose deletion was not heard, in seconds.
	canaryTTL = 60
)

// Health returns nil if the cluster takes a write and a read. It sends one
// transaction that would write a key if something were true that never is, and
// else reads it: all members agree on it and put it on their disks like any
// write, the user must have the rights to write and to read, and neither alarm
// (NOSPACE, CORRUPT) may be on; but it changes nothing. With Config.Canary it
// also writes a key and deletes it. Its cost does not depend on how much is
// stored.
//
// A user who may not write, and a cluster that takes no writes, give an error
// that matches resilient.ErrRefused.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	key := k.key(healthKey)
	_, err = k.kv.Txn(ctx, &pb.TxnRequest{
		Compare: []*pb.Compare{{
			Key:         key,
			Target:      pb.Compare_CREATE,
			Result:      pb.Compare_LESS, // no revision is below 0
			TargetUnion: &pb.Compare_CreateRevision{CreateRevision: 0},
		}},
		Success: []*pb.RequestOp{putOp(key, nil)},
		Failure: []*pb.RequestOp{rangeOp(key)},
	})
	if err == nil && k.cfg.Canary {
		err = k.canary(ctx)
	}
	if err == nil {
		return nil
	}
	if errors.As(err, new(unsent)) {
		// A client that was lent to us may wait for minutes before it connects
		// again.
		k.client.ActiveConnection().ResetConnectBackoff()
	}
	class := classOf(err)
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		class, err = resilient.Refused, fmt.Errorf("the user may not read and write all of the namespace: %w", err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		class = resilient.Refused // nothing is lost by a canary that was applied
	}
	return guard.Explain("etcdkv", ctx, class, false, err)
}

// canary writes a key that its lease deletes, and ends the lease. Checks at the
// same time each have a lease of their own and do not mind each other.
func (k *KV) canary(ctx context.Context) error {
	granted, err := k.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: canaryTTL})
	if err != nil {
		return err
	}
	if _, err := k.kv.Put(ctx, &pb.PutRequest{Key: k.key(canaryKey), Lease: granted.GetID()}); err != nil {
		return err
	}
	_, err = k.leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: granted.GetID()})
	return err
}
