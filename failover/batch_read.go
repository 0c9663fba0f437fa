package failover

import (
	"context"
	"maps"

	"github.com/holdfastkv/holdfast/resilient"
)

// BatchGetRaw returns the values of those keys that are there. It asks one
// member for all that the overlay does not answer; if that one may lack keys
// and does, the next is asked for all of them, and if nobody would know, it is
// ErrUncertain.
func (f *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	c := f.begin(resilient.OpBatchGet)
	r := read{f: f, op: resilient.OpBatchGet}
	var values map[string][]byte
	err := f.readyForAll(ctx, resilient.OpBatchGet, keys)
	if err == nil {
		values, err = f.batchGet(ctx, &r, keys)
	}
	f.done(ctx, c, outcome{served: r.served, err: err})
	return values, err
}

func (f *KV) batchGet(ctx context.Context, r *read, keys []string) (map[string][]byte, error) {
	unique := make(map[string]struct{}, len(keys))
	for _, key := range keys {
		unique[key] = struct{}{}
	}
	for {
		known, rest, stale, err := f.split(ctx, unique)
		if err != nil {
			return nil, f.canceled(ctx, r.op, r.errs)
		}
		if len(rest) == 0 {
			return known, nil
		}
		p, left := r.next()
		if p == nil {
			return nil, r.failed()
		}
		if stale.has(p.i) {
			r.skip(p)
			continue
		}
		var values map[string][]byte
		over, err := r.ask(ctx, p, left, func(ctx context.Context, p *peer, complete bool) (err error) {
			values, err = p.m.BatchGetRaw(ctx, rest)
			if err == nil && len(values) < len(rest) && !complete {
				return resilient.ErrNotFound
			}
			return err
		})
		switch {
		case !over:
		case err != nil:
			return nil, err
		default:
			maps.Copy(values, known)
			return values, nil
		}
	}
}

// split returns the values that the overlay has for keys, the keys for which
// members must be asked, and who must not be because of an old copy.
func (f *KV) split(ctx context.Context, keys map[string]struct{}) (known map[string][]byte, rest []string, stale Members, err error) {
	known = map[string][]byte{}
	rest = make([]string, 0, len(keys))
	owed := f.overlay.entries.Load() != 0
	for key := range keys {
		var v version
		if owed {
			if v, err = f.overlay.lookup(ctx, key); err != nil {
				return nil, nil, 0, err
			}
		}
		switch {
		case !v.found:
			rest = append(rest, key)
			stale |= v.remove
		case !v.delete:
			known[key], _ = v.copied()
		}
	}
	return known, rest, stale, nil
}
