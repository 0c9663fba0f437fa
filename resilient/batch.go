package resilient

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// batchGet is BatchGetRaw for Store and Member.
func (s *Store) batchGet(ctx context.Context, r *request, keys []string) (values map[string][]byte, err error) {
	r.empty = len(keys) == 0
	err = s.do(ctx, r, func(ctx context.Context) (err error) {
		values, err = s.gather(ctx, keys)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case values == nil:
		return map[string][]byte{}, nil
	}
	return values, nil
}

// gather asks the wrapped store for keys: in one call if it can, and key by
// key for those that its answer leaves open. A nil entry is such a one, because
// stores mean by it an empty value or none at all.
func (s *Store) gather(ctx context.Context, keys []string) (map[string][]byte, error) {
	var native map[string][]byte
	if s.batch != nil {
		var err error
		if native, err = s.batch.BatchGetRaw(ctx, keys); err != nil && s.classify(err) != Missing {
			return nil, err
		} else if err == nil {
			return s.complete(ctx, keys, native)
		}
	}
	return s.oneByOne(ctx, keys)
}

// complete returns the entries of native that were asked for.
func (s *Store) complete(ctx context.Context, keys []string, native map[string][]byte) (map[string][]byte, error) {
	values := make(map[string][]byte, len(native))
	for _, key := range keys {
		value, ok := native[key]
		if !ok {
			continue
		}
		if value == nil {
			if _, asked := values[key]; asked {
				continue
			}
			if err := s.fetch(ctx, key, values); err != nil {
				return nil, err
			}
			continue
		}
		values[key] = value
	}
	return values, nil
}

func (s *Store) oneByOne(ctx context.Context, keys []string) (map[string][]byte, error) {
	values := make(map[string][]byte, len(keys))
	for _, key := range keys {
		if _, asked := values[key]; asked {
			continue
		}
		if err := s.fetch(ctx, key, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// fetch puts the value of key into values, if there is one.
func (s *Store) fetch(ctx context.Context, key string, values map[string][]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	value, err := s.kv.GetRaw(ctx, key)
	switch {
	case err == nil:
		values[key] = notNil(value)
	case s.classify(err) != Missing:
		return err
	}
	return nil
}

func (s *Store) batchSet(ctx context.Context, r *request, kv map[string][]byte) error {
	r.empty = len(kv) == 0
	kv = withoutNil(kv)
	return s.do(ctx, r, func(ctx context.Context) error {
		if s.batch != nil {
			return s.batch.BatchSetRaw(ctx, kv)
		}
		return eachKey(ctx, slices.Sorted(maps.Keys(kv)), false, func(key string) error {
			return s.kv.SetRaw(ctx, key, kv[key])
		})
	})
}

// withoutNil returns kv with nil values made empty ones.
func withoutNil(kv map[string][]byte) map[string][]byte {
	for _, value := range kv {
		if value == nil {
			kv = maps.Clone(kv)
			for key, value := range kv {
				kv[key] = notNil(value)
			}
			return kv
		}
	}
	return kv
}

func (s *Store) batchRemove(ctx context.Context, r *request, keys []string) error {
	r.empty = len(keys) == 0
	return s.do(ctx, r, func(ctx context.Context) error {
		stopped := false
		if s.batch != nil {
			// A store that calls a missing key a miss may have stopped there.
			err := s.batch.BatchDelete(ctx, keys)
			if stopped = err != nil && s.classify(err) == Missing; !stopped {
				return err
			}
		}
		return eachKey(ctx, keys, stopped, func(key string) error {
			if err := s.kv.Delete(ctx, key); err != nil && s.classify(err) != Missing {
				return err
			}
			return nil
		})
	})
}

// eachKey writes the keys one after another. It says so if some were written,
// or may have been (begun), before one failed.
func eachKey(ctx context.Context, keys []string, begun bool, write func(key string) error) error {
	for i, key := range keys {
		err := ctx.Err()
		if err == nil {
			err = write(key)
		}
		if err != nil && (begun || i > 0) {
			return &partialError{maybeApplied{err}, i, len(keys), begun}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// partialError is a batch write of which some keys were written, or may have
// been before it began with the first one again.
type partialError struct {
	maybeApplied
	done, of int
	begun    bool
}

func (p *partialError) Error() string {
	if p.begun {
		return fmt.Sprintf("%v (some of %d keys may have been written before)", p.err, p.of)
	}
	return fmt.Sprintf("%v (%d of %d keys were written before)", p.err, p.done, p.of)
}
