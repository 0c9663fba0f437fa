package rediskv

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// A pipeline ends at this many commands or bytes: neither the server's thread
// nor the memory of either side is taken by one batch, while the round trip
// hardly counts any more.
//
// What a pipeline of GETs brings nobody knows beforehand, and the server has all
// of it in memory until it is read: a batch begins with a few, and goes on as the
// sizes of those suggest.
const (
	maxCommands   = 1000
	maxBytes      = 4 << 20
	firstCommands = 32
)

// BatchGetRaw returns the values that are there. They are not of one moment.
func (k *KV) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(keys))
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	for count := firstCommands; len(keys) > 0; {
		chunk := keys[:min(count, len(keys))]
		keys = keys[len(chunk):]
		var cmds []redis.Cmder
		err := k.call(ctx, false, func(ctx context.Context, c redis.UniversalClient) (err error) {
			// MGET would say of a key of another type that it is not there.
			cmds, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, key := range chunk {
					p.Get(ctx, k.prefix+key)
				}
				return nil
			})
			return firstFault(cmds, err)
		})
		if err != nil {
			return nil, err
		}
		size := 0
		for i, cmd := range cmds {
			value, err := answer(cmd.(*redis.StringCmd))
			if err != nil {
				return nil, k.explain(ctx, false, judge(err))
			}
			if value != nil {
				found[chunk[i]] = value
			}
			size += len(value)
		}
		count = fitting(len(chunk), size)
	}
	return found, nil
}

// fitting returns how many values the next pipeline asks for if so many had size
// bytes together.
func fitting(values, size int) int {
	return max(1, min(maxCommands, maxBytes/max(1, size/values)))
}

// firstFault returns the first error that is not a miss.
func firstFault(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// BatchSetRaw stores all values. It is not atomic: when it fails, any of them
// may be stored.
func (k *KV) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckEntries(kv, k.cfg.MaxValue); err != nil {
		return err
	}
	return k.pipelines(ctx, func(yield func(pipeline) bool) {
		for chunk := range guard.Chunks(kv, maxCommands, maxBytes) {
			for i := range chunk {
				chunk[i].Value = k.own(chunk[i].Value)
			}
			if !yield(func(ctx context.Context, p redis.Pipeliner) {
				for _, e := range chunk {
					p.Set(ctx, k.prefix+e.Key, e.Value, 0)
				}
			}) {
				return
			}
		}
	})
}

// BatchDelete removes all keys. It is not atomic: when it fails, any of them
// may be gone.
func (k *KV) BatchDelete(ctx context.Context, keys []string) error {
	ctx, leave, err := k.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := guard.CheckKeys(keys); err != nil {
		return err
	}
	return k.pipelines(ctx, func(yield func(pipeline) bool) {
		for chunk := range guard.KeyChunks(keys, maxCommands) {
			if !yield(func(ctx context.Context, p redis.Pipeliner) {
				for _, key := range chunk {
					p.Del(ctx, k.prefix+key)
				}
			}) {
				return
			}
		}
	})
}

// pipeline fills p with commands that write.
type pipeline func(ctx context.Context, p redis.Pipeliner)

// pipelines sends one after the other. If one fails after anything may have
// been applied, by it or by those before it, the whole is ambiguous.
func (k *KV) pipelines(ctx context.Context, all iter.Seq[pipeline]) error {
	applied := false // something of an earlier pipeline
	for fill := range all {
		err := k.via.run(ctx, func(ctx context.Context, c redis.UniversalClient) error {
			cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				fill(ctx, p)
				return nil
			})
			return fate(cmds, err)
		})
		if err != nil {
			j := judge(err)
			if applied {
				j = partly(j)
			}
			return k.explain(ctx, true, j)
		}
		applied = true
	}
	return nil
}

// partly is a batch that failed with j after a part of it was applied.
func partly(j *judged) *judged {
	return &judged{text: "a part of the batch was applied: " + j.text, err: j}
}

// fate returns the error that tells most of a pipeline of writes: nil if all
// were applied, one that says that nothing was applied if that is so of all.
func fate(cmds []redis.Cmder, err error) error {
	var certain, doubtful error
	failed := 0
	for _, cmd := range cmds {
		err := cmd.Err()
		if err == nil {
			continue
		}
		failed++
		switch classOf(err) {
		case resilient.Refused, resilient.Invalid:
			certain = err
		default:
			doubtful = err
		}
	}
	switch {
	case doubtful != nil:
		return doubtful
	case certain == nil:
		return err
	case failed < len(cmds):
		return partly(judge(certain))
	}
	return certain
}
