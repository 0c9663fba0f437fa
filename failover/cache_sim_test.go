package failover_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// cacheDice decides what happens in a simulation.
type cacheDice interface {
	// pick returns a number below n.
	pick(what string, n int) int
}

// seededDice is a cacheDice without rapid.
type seededDice struct{ rng *rand.Rand }

func (d seededDice) pick(_ string, n int) int { return d.rng.IntN(n) }

// cacheSim is a process with a cached store, several of whose callers are at
// work at once while store and cache fail. All of it lives in a bubble.
type cacheSim struct {
	dice  cacheDice
	cfg   failover.CacheConfig
	few   int // stripes
	truth *truth
	store *kvtest.Fault
	cache *kvtest.Fault
	kv    *failover.Cached
	calls sync.WaitGroup
	n     int // of the next call

	mu sync.Mutex // guards all below
	cacheKnowledge
	clock  int
	flying map[string]int // key -> calls that have not been judged
	stale  []cacheServed  // answers of the cache
	faults []string
	trace  []string
}

// cacheKnowledge is what the process has been told in its life.
type cacheKnowledge struct {
	least  map[string]int // key -> number of the newest acknowledged write
	gone   map[string]cacheMiss
	unsure map[string]int // key -> when its latest ambiguous write began
	seen   map[keyed]int  // key, value -> when a call ended that wrote or read it
	wrote  map[keyed]int  // ... that wrote it
}

// cacheMiss is the newest miss of a key, by the number of the write that left
// nothing, and when the read began that was told.
type cacheMiss struct{ number, began int }

// cacheServed is an answer of the cache.
type cacheServed struct {
	key, call string
	from, to  time.Time
}

const (
	cacheSimTimeout = 100 * time.Millisecond
	cacheSimSteps   = 120
)

var cacheSimKeys = []string{"a", "b", "c"}

func newCacheSim(dice cacheDice) *cacheSim {
	cfg := failover.CacheConfig{
		MaxStale:  []time.Duration{300 * time.Millisecond, 2 * time.Second, time.Minute}[dice.pick("max stale", 3)],
		FillEvery: []time.Duration{time.Nanosecond, 10 * time.Millisecond, 0}[dice.pick("fill every", 3)],
	}
	s := &cacheSim{dice: dice, cfg: cfg, few: 1 + 3*dice.pick("stripes", 2), truth: newTruth(), flying: map[string]int{}}
	s.store = kvtest.NewFault(s.truth)
	memory, err := memkv.New(memkv.Config{})
	if err != nil {
		s.bad("%v", err)
	}
	s.cache = kvtest.NewFault(memory)
	return s
}

// start begins a life of the process: what it was told before is forgotten.
func (s *cacheSim) start() error {
	s.mu.Lock()
	s.cacheKnowledge = cacheKnowledge{map[string]int{}, map[string]cacheMiss{}, map[string]int{}, map[keyed]int{}, map[keyed]int{}}
	s.mu.Unlock()
	store, err := resilient.Wrap(resilient.KeepOpen(s.store), resilient.Config{
		Timeout: cacheSimTimeout, LongTimeout: cacheSimTimeout,
		Breaker: breaker.Config{OpenFor: 50 * time.Millisecond, MaxOpenFor: 50 * time.Millisecond},
		Probe:   resilient.Probe{Interval: -1},
	})
	if err != nil {
		return err
	}
	s.kv, err = failover.WithCacheStripes(store, resilient.KeepOpen(s.cache), s.cfg, s.few)
	return err
}

// bad notes a violation.
func (s *cacheSim) bad(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// tick returns the next moment of a clock that orders the beginnings and ends
// of calls.
func (s *cacheSim) tickLocked() int {
	s.clock++
	return s.clock
}

// note remembers what happens, for the reader of a failure.
func (s *cacheSim) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = append(s.trace, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// cacheCall is one call of the process.
type cacheCall struct {
	s       *cacheSim
	name    string
	keys    []string
	began   int
	at      time.Time
	least   map[string]int // as they were when it began
	gone    map[string]cacheMiss
	unsure  map[string]int
	receipt resilient.Receipt
	writes  bool
}

func (s *cacheSim) begin(name string, writes bool, keys ...string) *cacheCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.flying[key]++
		if writes {
			s.wrote[keyed{key, name}] = math.MaxInt // until it is acknowledged
		}
	}
	return &cacheCall{
		s: s, name: name, keys: keys, writes: writes, began: s.tickLocked(), at: time.Now(),
		least: maps.Clone(s.least), gone: maps.Clone(s.gone), unsure: maps.Clone(s.unsure),
	}
}

func (c *cacheCall) ctx(parent context.Context) context.Context {
	return resilient.WithReceipt(context.WithValue(parent, truthOp{}, c.name), &c.receipt)
}

// tookLocked demands that the cache has delayed nobody.
func (c *cacheCall) tookLocked() {
	most := cacheSimTimeout
	if !c.writes {
		most += 50 * time.Millisecond
	}
	if took := time.Since(c.at); took > most {
		c.s.bad("%s took %v", c.name, took)
	}
}

// read judges the answer to a read of key.
func (c *cacheCall) read(key string, value []byte, err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.tookLocked()
	now := s.tickLocked()
	s.flying[key]--
	if errors.Is(err, resilient.ErrNotFound) {
		if number := s.truth.missOf(key, c.name); number > s.gone[key].number {
			s.gone[key] = cacheMiss{number, c.began}
		}
		if c.receipt.Stale {
			s.bad("%s: a miss from the cache", c.name)
		}
		return
	}
	if err != nil {
		return
	}
	name := string(value)
	r, ok := s.truth.numberOf(key, name)
	if !ok {
		s.bad("%s: %s=%s was never in the store", c.name, key, name)
		return
	}
	if !c.receipt.Stale {
		s.seen[keyed{key, name}] = now
		return
	}
	s.stale = append(s.stale, cacheServed{key, c.name, c.at, time.Now()})
	age := c.receipt.Age
	switch {
	case r.seq < c.least[key]:
		s.bad("%s: %s=%s is write %d, older than %d", c.name, key, name, r.seq, c.least[key])
	case r.seq < c.gone[key].number && s.knewOf(key, name, c.gone[key]):
		s.bad("%s: %s=%s is write %d, and %d was missed", c.name, key, name, r.seq, c.gone[key].number)
	case s.seen[keyed{key, name}] < c.unsure[key] && s.flying[key] == 0: // else another call may be about to tell that it has seen it
		s.bad("%s: %s=%s was stored before an ambiguous write", c.name, key, name)
	case age > s.cfg.MaxStale || age < 0:
		s.bad("%s: %s=%s is %v old", c.name, key, name, age)
	case !r.ended.IsZero() && time.Since(r.ended) > age:
		s.bad("%s: %s=%s was replaced %v ago, and is said to be %v old", c.name, key, name, time.Since(r.ended), age)
	}
}

// knewOf reports whether a miss must have removed a value: not if the write of
// it was acknowledged later, and not if only an earlier life knew it, a fill of
// which may come late.
func (s *cacheSim) knewOf(key, name string, miss cacheMiss) bool {
	return s.seen[keyed{key, name}] > 0 && s.wrote[keyed{key, name}] < miss.began
}

// wrote judges the answer to a write.
func (c *cacheCall) wrote(err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.tookLocked()
	now := s.tickLocked()
	for _, key := range c.keys {
		s.flying[key]--
		for _, a := range s.stale {
			if a.key == key && a.from.After(c.at) && a.to.Before(time.Now()) {
				s.bad("%s: %s from the cache while %s was writing it", a.call, key, c.name)
			}
		}
		switch {
		case err == nil:
			r, _ := s.truth.numberOf(key, c.name)
			s.least[key] = max(s.least[key], r.seq)
			s.seen[keyed{key, c.name}], s.wrote[keyed{key, c.name}] = now, now
		case errors.Is(err, resilient.ErrAmbiguous):
			s.unsure[key] = max(s.unsure[key], c.began)
		}
	}
}

// call makes one call of the process.
func (s *cacheSim) call(kind int, name string, keys []string, patience time.Duration) {
	ctx, cancel := context.Background(), func() {}
	if patience > 0 {
		ctx, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	key, two := keys[0], keys[:2]
	switch kind {
	default:
		c := s.begin(name, false, key)
		value, err := s.kv.GetRaw(c.ctx(ctx), key)
		s.note("%s: get %s = %s %v stale=%v age=%v", name, key, value, err, c.receipt.Stale, c.receipt.Age)
		c.read(key, value, err)
	case 1, 2:
		c := s.begin(name, true, key)
		err := s.kv.SetRaw(c.ctx(ctx), key, []byte(name))
		s.note("%s: set %s %v", name, key, err)
		c.wrote(err)
	case 3:
		c := s.begin(name, true, key)
		err := s.kv.Delete(c.ctx(ctx), key)
		s.note("%s: delete %s %v", name, key, err)
		c.wrote(err)
	case 4:
		c := s.begin(name, true, two...)
		err := s.kv.BatchSetRaw(c.ctx(ctx), map[string][]byte{two[0]: []byte(name), two[1]: []byte(name)})
		s.note("%s: set %s %v", name, two, err)
		c.wrote(err)
	case 5:
		c := s.begin(name, true, two...)
		err := s.kv.BatchDelete(c.ctx(ctx), two)
		s.note("%s: delete %s %v", name, two, err)
		c.wrote(err)
	case 6:
		c := s.begin(name, false, two...)
		found, err := s.kv.BatchGetRaw(c.ctx(ctx), two)
		s.note("%s: get %s = %s %v stale=%v age=%v", name, two, found, err, c.receipt.Stale, c.receipt.Age)
		for _, key := range two {
			value, ok := found[key]
			c.read(key, value, missingUnless(ok, err))
		}
	}
}

// play runs a script of steps and then demands that all works again.
func (s *cacheSim) play() error {
	defer s.end()
	if err := s.start(); err != nil {
		return err
	}
	s.storeSlows()
	for range cacheSimSteps {
		if err := s.step(); err != nil {
			return err
		}
	}
	s.heal()
	s.calls.Wait()
	return s.works()
}

// end leaves nothing behind.
func (s *cacheSim) end() {
	s.heal()
	s.calls.Wait()
	_ = s.kv.Close()
	_ = s.store.Close()
	_ = s.cache.Close()
}

func (s *cacheSim) heal() {
	s.truth.setSlow()
	s.store.Up()
	s.cache.Up()
}

// step makes one thing happen.
func (s *cacheSim) step() error {
	pick := s.dice.pick
	switch kind := pick("step", 12); {
	case kind < 7:
		s.n++
		name := fmt.Sprintf("op%d", s.n)
		first := s.pickKey()
		keys := append(slices.Clone(cacheSimKeys[first:]), cacheSimKeys[:first]...)
		call, patience := pick("call", 12), time.Duration(0)
		if pick("deadline", 6) == 0 {
			patience = time.Duration(1+pick("patience", 200)) * time.Millisecond
		}
		s.calls.Go(func() { s.call(call, name, keys, patience) })
		if pick("side by side", 2) > 0 {
			s.calls.Wait()
		}
	case kind == 7 && pick("slow", 3) == 0:
		s.storeSlows()
	case kind == 7:
		s.storeFails(pick("store", 14))
	case kind == 8:
		s.cacheFails(pick("cache", 24))
	case kind == 9 && pick("crowd", 3) == 0: // more keys that are not there than a stripe has room for
		for i := range 5 {
			s.n++
			name, keys := fmt.Sprintf("op%d", s.n), []string{fmt.Sprintf("none%d", i), ""}
			s.calls.Go(func() { s.call(0, name, keys, 0) })
		}
	case kind == 9:
		s.elsewhere(cacheSimKeys[s.pickKey()], pick("elsewhere", 3) == 0)
	case kind == 10 && pick("restart", 4) == 0:
		s.note("restart")
		s.calls.Wait()
		_ = s.kv.Close()
		return s.start()
	default:
		d := []time.Duration{0, 1, 1, 5, 20, 60, 60, 120, 500, 1100}[pick("sleep", 10)] * time.Millisecond
		s.note("sleep %v", d)
		time.Sleep(d)
	}
	return nil
}

// elsewhere is a write of another process.
func (s *cacheSim) elsewhere(key string, remove bool) {
	s.n++
	name := fmt.Sprintf("op%d", s.n)
	s.note("%s: elsewhere %s remove=%v", name, key, remove)
	value := &name
	if remove {
		value = nil
	}
	s.truth.apply(name, key, value)
}

// storeSlows has answers of the store take their time.
func (s *cacheSim) storeSlows() {
	ms := time.Millisecond
	slow := [][]time.Duration{{0}, {0, 5 * ms}, {30 * ms, 2 * ms, 15 * ms}, {1 * ms, 90 * ms, 3 * ms}}
	s.truth.setSlow(slow[s.dice.pick("slow", len(slow))]...)
}

// pickKey returns the first key more often than others: most rules take many
// calls of one key to be broken.
func (s *cacheSim) pickKey() int {
	return max(0, s.dice.pick("key", 6)-3)
}

var errCacheSim = errors.New("simulated: connection reset")

func (s *cacheSim) storeFails(how int) {
	s.note("store: %d", how)
	f := s.store
	switch how {
	case 0, 1:
		f.Down()
	case 2:
		f.Hang()
		f.ApplyLate(true)
		f.LateBy(time.Duration(s.dice.pick("late by", 3)) * 40 * time.Millisecond)
	case 3:
		f.AckLost(1 + s.dice.pick("lost", 2))
	case 4:
		f.Latency(30 * time.Millisecond)
	case 5:
		f.FailReads(errCacheSim)
	case 6:
		f.FailWrites(errCacheSim)
	case 7:
		f.PanicNext(1)
	default:
		f.Up()
	}
}

func (s *cacheSim) cacheFails(how int) {
	s.note("cache: %d", how)
	f := s.cache
	late := func() {
		f.ApplyLate(true)
		f.LateBy(time.Duration(s.dice.pick("late by", 3)) * 40 * time.Millisecond)
	}
	switch how {
	case 0:
		f.Down()
	case 1, 2:
		f.Hang()
		late()
	case 3:
		f.HangIgnoringContext()
		late()
	case 4:
		f.AckLost(1 + s.dice.pick("lost", 2))
	case 5:
		f.Latency([]time.Duration{30, 80}[s.dice.pick("latency", 2)] * time.Millisecond)
	case 6:
		f.FailReads(errCacheSim)
	case 7:
		f.FailWrites(errCacheSim)
	case 8:
		f.PanicNext(1)
	case 9:
		f.GoexitNext(1)
	default:
		f.Up()
	}
}

// works demands that what is read while all is well is served when the store
// is away.
func (s *cacheSim) works() error {
	time.Sleep(10 * time.Second) // what is late has landed
	for _, key := range cacheSimKeys {
		s.elsewhere(key, false)
	}
	for range 3 { // a breaker that was open lets two calls through at once, and then all
		time.Sleep(time.Second)
		for _, key := range cacheSimKeys {
			s.n++
			s.call(0, fmt.Sprintf("op%d", s.n), []string{key, key}, 0)
		}
	}
	s.store.Down()
	for _, key := range cacheSimKeys {
		want := s.truth.data[key]
		got, err := s.kv.GetRaw(context.Background(), key)
		if err != nil || string(got) != want {
			return fmt.Errorf("after all is well again, %s=%q from the cache in place of %q, %w", key, got, want, err)
		}
	}
	return nil
}
