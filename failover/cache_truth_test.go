package failover_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// truthOp is the key of the name of a call, which travels with its ctx to the
// store. A write's name is its value too, so that each value is written once.
type truthOp struct{}

func opOf(ctx context.Context) string {
	name, _ := ctx.Value(truthOp{}).(string)
	return name
}

// truth is a store that remembers in which order writes were applied and how
// long each value was the current one.
type truth struct {
	mu      sync.Mutex // guards all below
	seq     int
	data    map[string]string
	last    map[string]int // key -> number of its latest write
	applied map[keyed]*reign
	missed  map[keyed]int   // key and read -> number of the write that the miss is due to
	slow    []time.Duration // how long answers are under way, one after the other
}

// keyed is a key and the name of a call, or the value that it wrote.
type keyed struct{ key, op string }

// reign is what became of an applied write.
type reign struct {
	seq   int
	ended time.Time // zero while the value is current
}

func newTruth() *truth {
	return &truth{data: map[string]string{}, last: map[string]int{}, applied: map[keyed]*reign{}, missed: map[keyed]int{}}
}

// answer takes the time that an answer is under way.
func (s *truth) answer(ctx context.Context) error {
	s.mu.Lock()
	var d time.Duration
	if len(s.slow) > 0 {
		d = s.slow[0]
		s.slow = append(s.slow[1:], d)
	}
	s.mu.Unlock()
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setSlow has answers take so long, in turn.
func (s *truth) setSlow(slow ...time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = slow
}

// write makes value, or nothing, what key has.
func (s *truth) write(ctx context.Context, key string, value *string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.apply(opOf(ctx), key, value)
	return s.answer(ctx)
}

func (s *truth) apply(op, key string, value *string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.data[key]; ok {
		s.applied[keyed{key, old}].ended = time.Now()
	}
	delete(s.data, key)
	s.seq++
	s.last[key] = s.seq
	s.applied[keyed{key, op}] = &reign{seq: s.seq}
	if value != nil {
		s.data[key] = *value
	}
}

func (s *truth) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, ok := s.look(opOf(ctx), key)
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	if !ok {
		return nil, resilient.ErrNotFound
	}
	return []byte(value), nil
}

func (s *truth) look(op, key string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok = s.data[key]; !ok {
		s.missed[keyed{key, op}] = s.last[key]
	}
	return value, ok
}

func (s *truth) SetRaw(ctx context.Context, key string, value []byte) error {
	text := string(value)
	return s.write(ctx, key, &text)
}

func (s *truth) Delete(ctx context.Context, key string) error { return s.write(ctx, key, nil) }

func (s *truth) List(_ context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := slices.Sorted(maps.Keys(s.data))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) }), nil
}

func (s *truth) Health(ctx context.Context) error { return ctx.Err() }
func (s *truth) Close() error                     { return nil }

// numberOf returns when the write of value, or that of a call, was applied.
func (s *truth) numberOf(key, op string) (r reign, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.applied[keyed{key, op}]; p != nil {
		return *p, true
	}
	return reign{}, false
}

// missOf returns the number of the write that left no key for that read.
func (s *truth) missOf(key, op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missed[keyed{key, op}]
}
