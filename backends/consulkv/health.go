package consulkv

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/holdfastkv/holdfast/resilient"
)

// Health returns nil if there is a leader that a majority follows and the token
// may read and write in the folder, all of it by one read. A token that may not
// is told with an error that matches resilient.ErrRefused. With Config.Canary
// Health also writes and deletes a key of the library's own. Its cost does not
// depend on how much is stored.
func (k *KV) Health(ctx context.Context) error {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return err
	}
	defer leave()
	f := k.request(ctx, k.check)
	if f == nil && k.cfg.Canary {
		own := k.keys.own()
		f = k.change(ctx, api.TxnOps{op(api.KVSet, own, nil), op(api.KVDelete, own, nil)})
	}
	if f == nil {
		return nil
	}
	if strings.HasSuffix(f.text, permissionDenied) { // for the folder, not for one key
		f.class = resilient.Refused
	}
	return f.explain(ctx, false)
}

// check runs a transaction of two steps that changes nothing and that the leader
// answers without its log: the first is left out of the answer if the token may
// not read, the second is refused if it may not write.
func (k *KV) check(ctx context.Context) error {
	own := k.keys.own()
	ops := api.TxnOps{op(api.KVGetOrEmpty, own, nil), op(api.KVCheckNotExists, own, nil)}
	ok, answer, _, err := k.client.Txn().Txn(ops, k.reading(ctx))
	switch {
	case err != nil:
		return err
	case ok && len(answer.Results) == 0:
		return errForbidden
	case ok:
		return nil
	}
	err = rolledBack(answer.Errors)
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusConflict && strings.HasSuffix(strings.TrimSpace(status.Body), " exists") {
		return nil // somebody has put a key there; the leader has looked
	}
	return err
}
