package consulkv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	// maxOps is half of what Consul takes in one transaction (128).
	maxOps = 64
	// maxBatch bounds the keys and values of one transaction. Consul takes 512 KiB
	// of JSON (txn_max_req_len): values grow by a third in it, 64 escaped keys of
	// 512 bytes take 96 KiB, and what is around them 16 KiB at most.
	maxBatch = 256 << 10
)

// SetRaw stores a copy of value.
func (k *KV) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckWrite(key, value, k.cfg.MaxValue); err != nil {
		return err
	}
	return outcome(ctx, false, k.put(ctx, guard.Entry{Key: key, Value: value}))
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
	return outcome(ctx, false, k.request(ctx, func(ctx context.Context) error {
		_, err := k.client.KV().Delete(k.keys.stored(key), k.writing(ctx))
		return err
	}))
}

// BatchSetRaw stores copies of all values, in transactions of up to 64 keys and
// 256 KiB, in ascending order of the keys. A larger value is written on its own.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil {
		return err
	}
	began := false
	for chunk := range guard.Chunks(kv, maxOps, maxBatch) {
		var f *fault
		if len(chunk) == 1 {
			f = k.put(ctx, chunk[0]) // which may be too large for a transaction
		} else {
			ops := make(api.TxnOps, 0, len(chunk))
			for _, e := range chunk {
				ops = append(ops, op(api.KVSet, k.keys.stored(e.Key), e.Value))
			}
			f = k.change(ctx, ops)
		}
		if f != nil {
			return outcome(ctx, began, f)
		}
		began = true
	}
	return nil
}

// BatchDelete removes all keys, in transactions of up to 64, in ascending order.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return err
	}
	began := false
	for chunk := range guard.KeyChunks(keys, maxOps) {
		ops := make(api.TxnOps, 0, len(chunk))
		for _, key := range chunk {
			ops = append(ops, op(api.KVDelete, k.keys.stored(key), nil))
		}
		if f := k.change(ctx, ops); f != nil {
			return outcome(ctx, began, f)
		}
		began = true
	}
	return nil
}

// put writes one entry. An http.RoundTripper may still read the body when the
// caller has left: it gets a copy.
func (k *KV) put(ctx context.Context, e guard.Entry) *fault {
	value := bytes.Clone(e.Value)
	return k.request(ctx, func(ctx context.Context) error {
		_, err := k.client.KV().Put(&api.KVPair{Key: k.keys.stored(e.Key), Value: value}, k.writing(ctx))
		return tooLarge(err)
	})
}

// change applies ops as one transaction. The driver's own Txn keeps the status
// of a failure to itself, which for a write makes a difference.
func (k *KV) change(ctx context.Context, ops api.TxnOps) *fault {
	return k.request(ctx, func(ctx context.Context) error {
		var answer api.TxnResponse
		_, err := k.client.Raw().Write("/v1/txn", ops, &answer, k.writing(ctx))
		return tooLarge(err)
	})
}

// tooLarge makes err match resilient.ErrValueTooLarge if the server takes less
// than Config.MaxValue.
func tooLarge(err error) error {
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusRequestEntityTooLarge {
		return fmt.Errorf("%w: %w", resilient.ErrValueTooLarge, err)
	}
	return err
}

// outcome is what a write returns that ended with f. After a part of a batch has
// been applied its whole outcome is in doubt, whatever f means.
func outcome(ctx context.Context, began bool, f *fault) error {
	if f == nil {
		return nil
	}
	if began {
		f.class = resilient.Failed
	}
	return f.explain(ctx, true)
}

// op is one step of a transaction.
func op(verb api.KVOp, stored string, value []byte) *api.TxnOp {
	return &api.TxnOp{KV: &api.KVTxnOp{Verb: verb, Key: stored, Value: value}}
}
