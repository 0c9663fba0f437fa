package etcdkv

import (
	"context"
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
)

const (
	// A server reads the values too before it leaves them out of the answer:
	// with values of 1 MiB a page costs it half a GiB.
	pageSize = 512
	// A revision is compacted at most every few minutes by default settings; a
	// list that meets it this often goes on longer than it is worth.
	listTries = 3
)

// List returns the keys with prefix, of one moment, 512 in a request. If the
// cluster forgets that moment meanwhile it begins again, twice at most.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	ctx, leave, err := k.gate.Inside(ctx, k.cfg.Timeout)
	if err != nil {
		return nil, err
	}
	defer leave()
	for try := 1; ; try++ {
		keys, err := k.list(ctx, prefix)
		if err == nil {
			return guard.Listed(keys), nil
		}
		if try == listTries || !errors.Is(err, rpctypes.ErrCompacted) {
			return nil, explain(ctx, false, err)
		}
	}
}

func (k *KV) list(ctx context.Context, prefix string) ([]string, error) {
	// No key of the contract begins with a control character, and each of the
	// library's own does.
	from := max(k.prefix+prefix, k.prefix+" ")
	end, _ := guard.PrefixEnd(k.prefix + prefix) // there is one: a namespace is ASCII
	keys := []string{}
	if from >= end {
		return keys, nil
	}
	page := &pb.RangeRequest{Key: []byte(from), RangeEnd: []byte(end), Limit: pageSize, KeysOnly: true}
	revision := int64(0) // of the first page; later ones tell the newest
	for {
		resp, err := k.kv.Range(ctx, page)
		if err != nil {
			return nil, err
		}
		found := resp.GetKvs()
		keys = slices.Grow(keys, len(found))
		for _, one := range found {
			keys = append(keys, string(one.GetKey()[len(k.prefix):]))
		}
		if !resp.GetMore() || len(found) == 0 {
			return keys, nil
		}
		if revision == 0 {
			revision = resp.GetHeader().GetRevision()
		}
		page = &pb.RangeRequest{
			Key:      append(found[len(found)-1].GetKey(), 0), // the least key after the last one
			RangeEnd: page.RangeEnd,
			Limit:    pageSize,
			KeysOnly: true,
			Revision: revision,
		}
	}
}
