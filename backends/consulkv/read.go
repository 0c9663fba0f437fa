package consulkv

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// GetRaw returns the value of key, by a consistent read.
func (k *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := resilient.CheckKey(key); err != nil {
		return nil, err
	}
	var pair *api.KVPair
	f := k.request(ctx, func(ctx context.Context) error {
		var meta *api.QueryMeta
		pair, meta, err = k.client.KV().Get(k.keys.stored(key), k.reading(ctx))
		return foreign(meta, err)
	})
	switch {
	case f != nil:
		return nil, f.explain(ctx, false)
	case pair == nil:
		return nil, resilient.ErrNotFound
	}
	return present(pair.Value), nil
}

// foreign returns err, or an error if the answer was not Consul's: each of its
// own has an index, and the driver takes anybody's 404 for a miss.
func foreign(meta *api.QueryMeta, err error) error {
	if err == nil && meta.LastIndex == 0 {
		return errForeign
	}
	return err
}

// present returns value, which Consul has: it says null for an empty one.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// List returns the keys with prefix, by a consistent read. Consul sends them in
// one answer; one of more than 64 MiB is refused.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	var (
		stored []string
		denied bool // what no rule allows
	)
	f := k.request(ctx, func(ctx context.Context) error {
		var meta *api.QueryMeta
		stored, meta, err = k.client.KV().Keys(k.keys.stored(prefix), "", k.reading(ctx))
		if err := foreign(meta, err); err != nil {
			return err
		}
		denied = meta.DefaultACLPolicy == "deny"
		if meta.ResultsFilteredByACLs {
			return errForbidden
		}
		return nil
	})
	if f == nil && denied && len(stored) == 0 {
		// Consul does not tell the anonymous token that it left everything out.
		f = k.request(ctx, k.mayRead)
	}
	if f != nil {
		return nil, f.explain(ctx, false)
	}
	return k.keys.originals(stored), nil
}

// BatchGetRaw returns the values that are there, by consistent reads of up to 64
// keys each.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	for chunk := range guard.KeyChunks(keys, min(maxOps, maxAnswer/2/k.cfg.MaxValue)) {
		ops := make(api.TxnOps, 0, len(chunk))
		for _, key := range chunk {
			ops = append(ops, op(api.KVGetOrEmpty, k.keys.stored(key), nil))
		}
		var results api.TxnResults
		f := k.request(ctx, func(ctx context.Context) error {
			results, err = k.look(ctx, ops)
			return err
		})
		if f != nil {
			return nil, f.explain(ctx, false)
		}
		for i, r := range results {
			if r.KV.CreateIndex != 0 { // else it is not there
				found[chunk[i]] = present(r.KV.Value)
			}
		}
	}
	return found, nil
}

// look runs a transaction that only reads, consistently, and returns one result
// for each of the ops, which are all KVGetOrEmpty.
func (k *KV) look(ctx context.Context, ops api.TxnOps) (api.TxnResults, error) {
	ok, answer, _, err := k.client.Txn().Txn(ops, k.reading(ctx))
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, rolledBack(answer.Errors)
	case len(answer.Results) < len(ops):
		// Consul leaves out what the token may not read.
		return nil, errForbidden
	}
	for i, r := range answer.Results {
		if r == nil || r.KV == nil || i >= len(ops) || r.KV.Key != ops[i].KV.Key { //#nosec G602 -- i was compared just before
			return nil, errForeign
		}
	}
	return answer.Results, nil
}

// mayRead returns an error unless the token may read in the folder.
func (k *KV) mayRead(ctx context.Context) error {
	_, err := k.look(ctx, api.TxnOps{op(api.KVGetOrEmpty, k.keys.own(), nil)})
	return err
}

// rolledBack returns the error of a transaction that was not applied, as the
// driver tells it of other requests.
func rolledBack(errs api.TxnErrors) error {
	e := api.StatusError{Code: 409}
	for _, one := range errs {
		e.Body += fmt.Sprintln(one.What)
	}
	return e
}
