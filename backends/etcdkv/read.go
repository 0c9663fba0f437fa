package etcdkv

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// maxOps is how many operations a server takes in one transaction by default
// (--max-txn-ops).
const maxOps = 128

// GetRaw returns the value of key as of a moment during the call, whichever
// member answers.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	resp, err := k.kv.Range(ctx, &pb.RangeRequest{Key: k.key(key)})
	if err != nil {
		return nil, explain(ctx, false, err)
	}
	if len(resp.GetKvs()) == 0 {
		return nil, resilient.ErrNotFound
	}
	return valueOf(resp.GetKvs()[0]), nil
}

// valueOf returns the value of found, which nobody else has; an empty one comes
// off the wire as nil.
func valueOf(found *mvccpb.KeyValue) []byte {
	if value := found.GetValue(); value != nil {
		return value
	}
	return []byte{}
}

// BatchGetRaw returns the values that are there, 128 keys of one moment at a
// time.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(keys))
	for chunk := range guard.KeyChunks(keys, maxOps) {
		ops := make([]*pb.RequestOp, len(chunk))
		for i, key := range chunk {
			ops[i] = rangeOp(k.key(key))
		}
		resp, err := k.kv.Txn(ctx, &pb.TxnRequest{Success: ops})
		if err != nil {
			return nil, explain(ctx, false, err)
		}
		for _, one := range resp.GetResponses() {
			for _, found := range one.GetResponseRange().GetKvs() {
				values[string(found.GetKey()[len(k.prefix):])] = valueOf(found)
			}
		}
	}
	return values, nil
}

func rangeOp(key []byte) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key}}}
}
