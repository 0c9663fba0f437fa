package failover_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

var (
	errSimDown   = &simError{"simulated: connection refused", resilient.ErrRefused}
	errSimDenied = &simError{"simulated: read only", resilient.ErrRefused}
	errSimLost   = errors.New("simulated: connection reset")
)

type simError struct {
	text  string
	wider error
}

func (e *simError) Error() string { return e.text }
func (e *simError) Unwrap() error { return e.wider }

// tick is how often a server that commits now and then does so.
const tick = 20 * time.Millisecond

// latest is the longest time after its caller has left for which a simulated
// server that is awake still applies a write: less than the quiet window.
const latest = 1500 * time.Millisecond

// simStore is a simulated server with what goes wrong with real ones. While it
// is frozen, writes lie in its socket buffers and are applied when it wakes,
// whoever waits for them; killed, it forgets them and refuses.
type simStore struct {
	late sync.WaitGroup // writes that are yet to be applied

	mu     sync.Mutex // guards all below
	rng    *rand.Rand
	data   map[string][]byte
	closed bool
	down   bool
	deny   bool          // writes are refused
	sick   bool          // Health fails, calls work
	lie    bool          // Health is fine though the server is down
	slow   bool          // some calls outlast the group's Timeout
	ticks  bool          // calls take effect together, in any order, as those of a store that commits now and then
	lossy  float64       // share of answers lost after the write was applied
	awake  chan struct{} // closed while not frozen
	queue  []func()      // of a frozen server
}

func newSimStore(rng *rand.Rand) *simStore {
	s := &simStore{rng: rng, data: map[string][]byte{}, awake: make(chan struct{})}
	close(s.awake)
	return s
}

func (s *simStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// freeze stops the server as SIGSTOP does.
func (s *simStore) freeze() {
	s.set(func() {
		if s.isAwakeLocked() {
			s.awake = make(chan struct{})
		}
	})
}

func (s *simStore) isAwakeLocked() bool {
	select {
	case <-s.awake:
		return true
	default:
		return false
	}
}

// kill loses what lies in the socket buffers.
func (s *simStore) kill() {
	s.set(func() { s.queue, s.down = nil, true; s.wakeLocked() })
}

func (s *simStore) wakeLocked() {
	if s.isAwakeLocked() {
		return
	}
	for _, apply := range s.queue {
		apply()
	}
	s.queue = nil
	close(s.awake)
}

// heal ends every fault.
func (s *simStore) heal() {
	s.set(func() {
		s.wakeLocked()
		s.down, s.deny, s.sick, s.lie, s.slow, s.ticks, s.lossy = false, false, false, false, false, false, 0
	})
}

// do serves one call as the server's state allows.
func (s *simStore) do(ctx context.Context, write bool, apply func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	awake, latency := s.awake, time.Duration(1+s.rng.IntN(4))*time.Millisecond
	lost, zombie := s.rng.Float64() < s.lossy, time.Duration(s.rng.Int64N(int64(latest)))
	back := time.Duration(s.rng.IntN(3)) * time.Millisecond
	if s.slow {
		latency *= time.Duration(1 + s.rng.IntN(20))
		back *= time.Duration(1 + s.rng.IntN(10))
	}
	if s.ticks {
		latency = tick - time.Duration(time.Now().UnixNano())%tick
	}
	switch {
	case s.closed:
		s.mu.Unlock()
		return resilient.ErrClosed
	case s.down:
		s.mu.Unlock()
		return errSimDown
	case write && s.deny:
		s.mu.Unlock()
		return errSimDenied
	case !s.isAwakeLocked():
		if write {
			s.queue = append(s.queue, apply)
		}
		s.mu.Unlock()
		select {
		case <-awake:
			if write {
				return errSimLost
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	default:
		s.mu.Unlock()
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		if write {
			s.applyLater(zombie, apply)
		}
		return ctx.Err()
	}
	if !s.apply(apply) || lost {
		return errSimLost
	}
	if back == 0 {
		return nil
	}
	select {
	case <-time.After(back):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply applies a call unless the server is down.
func (s *simStore) apply(apply func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	apply()
	return true
}

// applyLater applies a write whose caller has left, unless the server dies.
func (s *simStore) applyLater(after time.Duration, apply func()) {
	s.late.Go(func() {
		time.Sleep(after)
		s.apply(apply)
	})
}

func (s *simStore) Health(ctx context.Context) error {
	s.mu.Lock()
	awake, lie, sick, down := s.awake, s.lie, s.sick, s.down
	s.mu.Unlock()
	switch {
	case sick:
		return errors.New("simulated: sick")
	case down && lie:
		return nil
	case down:
		return errSimDown
	}
	select {
	case <-awake:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-time.After(time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *simStore) GetRaw(ctx context.Context, key string) (value []byte, err error) {
	err = s.do(ctx, false, func() {
		if v, ok := s.data[key]; ok {
			value = append([]byte{}, v...)
		}
	})
	if err == nil && value == nil {
		err = resilient.ErrNotFound
	}
	return value, err
}

func (s *simStore) SetRaw(ctx context.Context, key string, value []byte) error {
	value = append([]byte{}, value...)
	return s.do(ctx, true, func() { s.data[key] = value })
}

func (s *simStore) Delete(ctx context.Context, key string) error {
	return s.do(ctx, true, func() { delete(s.data, key) })
}

func (s *simStore) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = s.do(ctx, false, func() {
		keys = slices.DeleteFunc(slices.Sorted(maps.Keys(s.data)), func(k string) bool { return !strings.HasPrefix(k, prefix) })
	})
	return keys, err
}

func (s *simStore) BatchGetRaw(ctx context.Context, keys []string) (found map[string][]byte, err error) {
	found = map[string][]byte{}
	err = s.do(ctx, false, func() {
		for _, key := range keys {
			if v, ok := s.data[key]; ok {
				found[key] = append([]byte{}, v...)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (s *simStore) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	kv = maps.Clone(kv)
	return s.do(ctx, true, func() {
		for key, value := range kv {
			s.data[key] = append([]byte{}, value...)
		}
	})
}

func (s *simStore) BatchDelete(ctx context.Context, keys []string) error {
	keys = slices.Clone(keys)
	return s.do(ctx, true, func() {
		for _, key := range keys {
			delete(s.data, key)
		}
	})
}

func (s *simStore) Close() error {
	s.set(func() { s.wakeLocked(); s.closed = true })
	return nil
}

// content returns a copy of what the server holds.
func (s *simStore) content() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string]string{}
	for k, v := range s.data {
		m[k] = string(v)
	}
	return m
}
