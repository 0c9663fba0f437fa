package etcdkv

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// A part of a batch has about maxChunk bytes at most: with what goes along it
// stays below the 1.5 MiB that a server takes by default (--max-request-bytes).
// Where that is less, Config.MaxValue is; parts get as small, down to minChunk.
const (
	maxChunk = 1 << 20
	minChunk = 64 << 10
)

// SetRaw stores value, which it reads only until it returns.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	if _, err := k.kv.Put(ctx, &pb.PutRequest{Key: k.key(key), Value: value}); err != nil {
		return explain(ctx, true, err)
	}
	return nil
}

// Delete removes key.
func (k *KV) Delete(ctx context.Context, key string) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return err
	}
	if _, err := k.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: k.key(key)}); err != nil {
		return explain(ctx, true, err)
	}
	return nil
}

// BatchSetRaw stores all values, at most 128 keys and about 1 MiB in one
// transaction after the other.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil {
		return err
	}
	first := true
	for chunk := range guard.Chunks(kv, maxOps, min(max(k.cfg.MaxValue, minChunk), maxChunk)) {
		ops := make([]*pb.RequestOp, len(chunk))
		for i, e := range chunk {
			ops[i] = putOp(k.key(e.Key), e.Value)
		}
		if _, err := k.kv.Txn(ctx, &pb.TxnRequest{Success: ops}); err != nil {
			return explainPart(ctx, first, err)
		}
		first = false
	}
	return nil
}

// BatchDelete removes all keys, at most 128 in one transaction after the other.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return err
	}
	first := true
	for chunk := range guard.KeyChunks(keys, maxOps) {
		ops := make([]*pb.RequestOp, len(chunk))
		for i, key := range chunk {
			ops[i] = &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
				RequestDeleteRange: &pb.DeleteRangeRequest{Key: k.key(key)},
			}}
		}
		if _, err := k.kv.Txn(ctx, &pb.TxnRequest{Success: ops}); err != nil {
			return explainPart(ctx, first, err)
		}
		first = false
	}
	return nil
}

func putOp(key, value []byte) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: value}}}
}
