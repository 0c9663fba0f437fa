package resilient

import (
	"context"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/breaker"
)

// Store guards one store: every call goes through a circuit breaker, a timeout
// and, if asked for, retries, and a goroutine asks for the store's health. It
// is a KVWithHealth and a Batcher, whatever it wraps. Make it with Wrap. All
// methods are safe for concurrent use.
type Store struct {
	kv       KVWithHealth
	batch    Batcher // kv's own; nil: key by key
	own      func(error) Class
	limits   Limits
	checkKey func(key string) error // why key must not be sent, or nil
	leftover func() int             // calls that kv has been left with; nil: it is never left
	kind     string
	cfg      Config // with defaults
	timed    bool   // a timeout or an observer asks for the time
	counted  bool   // inFlight is kept
	retrying bool
	miss     error // what a plain ErrNotFound is answered with

	breaker  *breaker.Breaker
	refusals [opCount]refusals
	budget   budget
	inFlight atomic.Int64
	member   atomic.Pointer[Member]
	flight   flight
	prober   *prober // nil: no probing

	closed   atomic.Bool
	closing  chan struct{} // closed when the first Close begins
	ended    chan struct{} // closed when it ends
	closeErr error         // read after ended
}

var (
	_ KVWithHealth = (*Store)(nil)
	_ Batcher      = (*Store)(nil)
	_ Limited      = (*Store)(nil)
	_ Reporter     = (*Store)(nil)
)

// Wrap returns a Store that guards kv and starts asking for its health. Close
// stops that and closes kv. The error names every fault of the configuration
// at once; a nil kv is one of them.
func Wrap(kv KVWithHealth, cfg Config) (*Store, error) {
	if err := validate(kv, cfg); err != nil {
		return nil, err
	}
	s := &Store{kv: kv, kind: BackendName(kv), cfg: cfg.withDefaults(), closing: make(chan struct{}), ended: make(chan struct{})}
	if s.cfg.Name == "" {
		s.cfg.Name = s.kind
	}
	s.batch, _ = kv.(Batcher)
	about := capabilitiesOf(kv)
	s.limits, s.own = about.limits, s.cfg.Classify
	if s.own == nil {
		s.own = about.own
	}
	s.checkKey = keyCheck(s.cfg.Keys, s.limits.MaxKey)
	s.leftover = leftoverOf(kv)
	s.timed = s.cfg.Observer != nil
	s.counted = s.cfg.MaxInFlight > 0 || s.cfg.Observer != nil
	s.retrying = s.cfg.Retry.Attempts > 1
	s.budget.fill(s.cfg.Retry.Budget)
	s.miss = ErrNotFound
	if s.cfg.NotFound != nil {
		s.miss = &missing{err: ErrNotFound, also: s.cfg.NotFound}
	}
	for op := range Op(opCount) {
		s.refusals[op].init(op, s.cfg.Name)
	}

	guard := s.cfg.Breaker
	guard.OnChange = s.changed
	b, err := breaker.New(guard)
	if err != nil {
		return nil, err
	}
	s.breaker = b
	s.flight.init()
	if s.cfg.Probe.Interval > 0 {
		s.prober = newProber()
		s.breaker.ExpectChecks(true)
		go s.prober.run(s)
	} else {
		s.breaker.ExpectChecks(false)
	}
	return s, nil
}

// GetRaw returns the value of key, which the caller owns, or an error that
// matches ErrNotFound if the key is not there. An empty value is a non-nil
// empty slice.
func (s *Store) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return s.get(ctx, &request{op: OpGet, bad: s.checkKey(key), outermost: true}, key)
}

// SetRaw makes value the value of key. The caller keeps value; nil is an empty
// value.
func (s *Store) SetRaw(ctx context.Context, key string, value []byte) error {
	return s.set(ctx, &request{op: OpSet, bad: s.checkPair(key, value), outermost: true}, key, value)
}

// Delete removes key. That it is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.remove(ctx, &request{op: OpDelete, bad: s.checkKey(key), outermost: true}, key)
}

// List returns the keys that start with the literal bytes of prefix, in
// ascending byte order, never nil unless it fails.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	return s.list(ctx, &request{op: OpList, outermost: true}, prefix)
}

// BatchGetRaw returns the values of keys; missing ones are absent. It is one
// call to the breaker, whether the wrapped store is a Batcher or is asked key
// by key. Any failure is a nil map and an error.
func (s *Store) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	return s.batchGet(ctx, &request{op: OpBatchGet, bad: s.checkKeys(keys), outermost: true}, keys)
}

// BatchSetRaw sets each key of kv, in no stated order. If it fails any of them
// may have been set.
func (s *Store) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	return s.batchSet(ctx, &request{op: OpBatchSet, bad: s.checkPairs(kv), outermost: true}, kv)
}

// BatchDelete removes each of keys, in no stated order. If it fails any of
// them may have been removed.
func (s *Store) BatchDelete(ctx context.Context, keys []string) error {
	return s.batchRemove(ctx, &request{op: OpBatchDelete, bad: s.checkKeys(keys), outermost: true}, keys)
}

// Name returns Config.Name, or what the store is called after in its place.
func (s *Store) Name() string { return s.cfg.Name }

// State returns the state of the breaker.
func (s *Store) State() breaker.State { return s.breaker.State() }

// Breaker returns the breaker, to force it open or closed, or to release it.
func (s *Store) Breaker() *breaker.Breaker { return s.breaker }

// Unwrap returns the wrapped store, for looking: a call through it is
// unguarded.
func (s *Store) Unwrap() KVWithHealth { return s.kv }

// Limits returns those of the wrapped store, as they were when it was wrapped.
func (s *Store) Limits() Limits { return s.limits }
