package failover

import (
	"context"
	"slices"
	"strings"

	"github.com/holdfastkv/holdfast/resilient"
)

// List returns the keys that start with prefix, in ascending byte order. It is
// no snapshot: a key that is written meanwhile may or may not be in it. If the
// only members that answer may lack keys, it is ErrUncertain.
func (f *KV) List(ctx context.Context, prefix string) ([]string, error) {
	c := f.begin(resilient.OpList)
	r := read{f: f, op: resilient.OpList}
	var keys []string
	err := f.ready(ctx, resilient.OpList)
	if err == nil {
		keys, err = f.list(ctx, &r, prefix)
	}
	f.done(ctx, c, outcome{served: r.served, err: err})
	return keys, err
}

// list copies the overlay before each attempt: a write that is handed back
// meanwhile is then in the one or in the other.
func (f *KV) list(ctx context.Context, r *read, prefix string) (keys []string, err error) {
	call := func(ctx context.Context, p *peer, complete bool) error {
		if !complete {
			return resilient.ErrNotFound
		}
		keys, err = p.m.List(ctx, prefix)
		return err
	}
	for {
		owed, err := f.overlay.matching(ctx, func(key string) bool { return strings.HasPrefix(key, prefix) })
		if err != nil {
			return nil, f.canceled(ctx, r.op, r.errs)
		}
		p, left := r.next()
		if p == nil {
			return nil, r.failed()
		}
		over, err := r.ask(ctx, p, left, call)
		switch {
		case !over:
		case err != nil:
			return nil, err
		default:
			return merge(keys, owed), nil
		}
	}
}

// merge returns the member's keys with the overlay's versions in their place.
func merge(keys []string, owed map[string]version) []string {
	if len(owed) == 0 {
		return keys
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { _, ok := owed[key]; return ok })
	for key, v := range owed {
		if !v.delete {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
