package failover_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
)

// goOn is longer than a write goes on without its caller.
const goOn = 10 * time.Second

// scenario is what a simulation plays.
type scenario struct {
	name    string
	writes  failover.Writes
	members int
	durable bool // the journal outlives the process, and fails at times if that never dies
	deaths  int  // of the process, at most
	rebuild bool // after each death the other members are rebuilt
}

// scenarios are all that are played. A journal that forgets with the process, or
// that fails just before the process dies, can keep nothing: there is no death
// with these.
var scenarios = []scenario{
	{name: "handoff", writes: failover.Handoff, members: 2},
	{name: "handoff-3", writes: failover.Handoff, members: 3},
	{name: "handoff-journal", writes: failover.Handoff, members: 2, durable: true},
	{name: "handoff-alone", writes: failover.Handoff, members: 1, durable: true, deaths: 4},
	{name: "handoff-crash", writes: failover.Handoff, members: 2, durable: true, deaths: 4},
	{name: "mirror", writes: failover.Mirror, members: 2},
	{name: "mirror-3", writes: failover.Mirror, members: 3},
	{name: "mirror-crash", writes: failover.Mirror, members: 2, durable: true, deaths: 4},
	{name: "mirror-rebuild", writes: failover.Mirror, members: 2, durable: true, deaths: 3, rebuild: true},
	{name: "mirror-rebuild-3", writes: failover.Mirror, members: 3, durable: true, deaths: 2, rebuild: true},
	{name: "strict-journal", writes: failover.MirrorStrict, members: 2, durable: true},
	{name: "strict-crash", writes: failover.MirrorStrict, members: 2, durable: true, deaths: 4},
	{name: "strict-crash-3", writes: failover.MirrorStrict, members: 3, durable: true, deaths: 3},
}

// simulation is one seeded run of a scenario: clients that read and write a few
// keys through a group while its members, its journal and its process fail,
// after which all heal and the group must come to rest with equal members.
type simulation struct {
	scenario
	seed uint64

	stores  []*simStore
	disk    *simDisk
	history *linear.History

	rebuilds sync.WaitGroup

	mu      sync.Mutex // guards all below
	process *simProcess
	revived chan struct{} // closed when process is replaced
	faulty  int
	once    []string // acknowledged keys that were written once
	tally

	// What was in the end, for the judge.
	unrest error
	final  []map[string]string // of each member
	end    int64
}

const (
	simClients = 5
	simCalls   = 60 // per client
)

var simKeys = []string{"a", "b", "c"}

// tally is what happened in a run, or in many.
type tally struct{ ops, failed, unsure, uncertain, faults, crashes, switches, overlaps int }

func (t *tally) add(o tally) {
	t.ops += o.ops
	t.failed += o.failed
	t.unsure += o.unsure
	t.uncertain += o.uncertain
	t.faults += o.faults
	t.crashes += o.crashes
	t.switches += o.switches
	t.overlaps += o.overlaps
}

func (s *simulation) rand(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, stream)) }

func (s *simulation) Observe(_ context.Context, e resilient.Event) {
	if e.Kind == resilient.KindSwitch {
		s.mu.Lock()
		s.switches++
		s.mu.Unlock()
	}
}

// start begins a life of the process.
func (s *simulation) start() error {
	p := newSimProcess()
	kvs := make([]resilient.KVWithHealth, s.members)
	for i := range kvs {
		kvs[i] = &simConn{p, s.stores[i]}
	}
	cfg := failover.Config{
		Writes:   s.writes,
		Complete: s.writes != failover.Handoff,
		Straggle: 3 * time.Millisecond,
		Failback: failover.Failback{After: 100 * time.Millisecond, MaxAfter: time.Second},
		Member: resilient.Config{
			Timeout: 40 * time.Millisecond,
			Breaker: breaker.Config{Failures: 3, OpenFor: 50 * time.Millisecond, MaxOpenFor: 200 * time.Millisecond, Fall: 2},
			Probe: resilient.Probe{
				Interval: 100 * time.Millisecond, FastInterval: 20 * time.Millisecond, DownInterval: 30 * time.Millisecond,
				MaxDownInterval: 60 * time.Millisecond, Timeout: 40 * time.Millisecond,
			},
		},
		Observer: s,
	}
	if s.durable {
		cfg.Journal = &simJournal{p, s.disk}
	}
	group, err := failover.New(cfg, kvs...)
	if err != nil {
		return err
	}
	p.group = group
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	if s.revived != nil {
		close(s.revived)
	}
	s.revived = make(chan struct{})
	if s.rebuild {
		for i := 1; i < s.members; i++ {
			s.rebuilds.Go(func() { s.rebuildMember(p, i) })
		}
	}
	return nil
}

// rebuildMember rebuilds a member, however often that fails, while p lives.
func (s *simulation) rebuildMember(p *simProcess, i int) {
	name := p.group.Status().Members[i].Name
	for !p.dead() && p.group.Rebuild(p.ctx, name, nil) != nil {
		time.Sleep(20 * time.Millisecond)
	}
}

// crash ends the process's life; a new one begins after a while.
func (s *simulation) crash(away time.Duration) error {
	s.mu.Lock()
	p := s.process
	s.crashes++
	s.mu.Unlock()
	p.die()
	s.history.Crashed()
	_ = p.group.Close() // ends the goroutines of the dead
	time.Sleep(away)
	s.disk.heal()
	return s.start()
}

// current returns the process once it lives.
func (s *simulation) current() *simProcess {
	for {
		s.mu.Lock()
		p, revived := s.process, s.revived
		s.mu.Unlock()
		if !p.dead() {
			return p
		}
		<-revived
	}
}

// client makes its calls one after the other.
func (s *simulation) client(id int) {
	rng := s.rand(uint64(10 + id))
	for n := range simCalls {
		ctx, cancel := context.Background(), func() {}
		if rng.IntN(4) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(5+rng.IntN(150))*time.Millisecond)
		}
		s.call(ctx, rng, id, fmt.Sprintf("%d-%d", id, n))
		cancel()
		time.Sleep(time.Duration(rng.IntN(s.pause(rng))) * time.Millisecond)
	}
}

// hot reports whether the clients of this run fight for one key.
func (s *simulation) hot() bool { return s.seed%2 == 0 }

// long reports whether this run has quiet times, in which the group can hand
// back what has to wait for earlier calls.
func (s *simulation) long() bool { return s.seed%4 >= 2 }

// pause is how many ms a client pauses at most.
func (s *simulation) pause(rng *rand.Rand) int {
	switch {
	case s.long() && rng.IntN(20) == 0:
		return 2500
	case s.hot():
		return 6
	}
	return 15
}

func (s *simulation) call(ctx context.Context, rng *rand.Rand, id int, value string) {
	p := s.current()
	h, kv, key := s.history, p.group, simKeys[rng.IntN(len(simKeys))]
	if s.hot() && rng.IntN(4) > 0 {
		key = simKeys[0]
	}
	if rng.IntN(12) == 0 {
		s.setOnce(ctx, p, "once-"+value)
		return
	}
	dice := rng.IntN(20)
	if dice >= 9 && dice != 16 && dice != 19 {
		s.began()
	}
	c := h.Begin(id, p.dead)
	switch {
	case dice < 9:
		v, err := kv.GetRaw(ctx, key)
		c.Read(linear.In{Op: linear.Read, Key: key}, v, err)
	case dice < 14:
		c.Wrote(kv.SetRaw(ctx, key, []byte(value)), linear.In{Op: linear.Write, Key: key, Value: value})
	case dice < 16:
		c.Wrote(kv.Delete(ctx, key), linear.In{Op: linear.Delete, Key: key})
	case dice < 17:
		keys := simKeys[:2]
		found, err := kv.BatchGetRaw(ctx, keys)
		for _, k := range keys {
			v, ok := found[k]
			c.Read(linear.In{Op: linear.Read, Key: k}, v, missingUnless(ok, err))
		}
	case dice < 18:
		err := kv.BatchSetRaw(ctx, map[string][]byte{"a": []byte(value), "c": []byte(value)})
		c.Wrote(err, linear.In{Op: linear.Write, Key: "a", Value: value}, linear.In{Op: linear.Write, Key: "c", Value: value})
	case dice < 19:
		err := kv.BatchDelete(ctx, simKeys[1:])
		c.Wrote(err, linear.In{Op: linear.Delete, Key: "b"}, linear.In{Op: linear.Delete, Key: "c"})
	default:
		listed, err := kv.List(ctx, "")
		in := map[string]bool{}
		for _, k := range listed {
			in[k] = true
		}
		for _, k := range simKeys {
			c.Read(linear.In{Op: linear.Listed, Key: k}, nil, missingUnless(in[k], err))
		}
	}
}

// setOnce writes a key that nobody writes again: no later write mends it.
func (s *simulation) setOnce(ctx context.Context, p *simProcess, key string) {
	s.began()
	if err := p.group.SetRaw(ctx, key, []byte("v")); err == nil && !p.dead() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.once = append(s.once, key)
	}
}

func missingUnless(found bool, err error) error {
	if err == nil && !found {
		return resilient.ErrNotFound
	}
	return err
}

// began counts a write that overlaps with a fault.
func (s *simulation) began() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faulty > 0 {
		s.overlaps++
	}
}

// run plays the whole.
func (s *simulation) run(t *testing.T) {
	for i := range s.members {
		s.stores = append(s.stores, newSimStore(s.rand(uint64(100+i))))
	}
	s.disk, s.history = newSimDisk(s.rand(2)), linear.New()
	s.history.Loose = s.writes == failover.Mirror
	require.NoError(t, s.start())
	stop := make(chan struct{})
	var clients, faults sync.WaitGroup
	faults.Go(func() { s.nemesis(t, stop) })
	for id := range simClients {
		clients.Go(func() { s.client(id) })
	}
	clients.Wait()
	close(stop)
	faults.Wait()
	for _, store := range s.stores {
		store.heal()
	}
	s.rebuilds.Wait()
	time.Sleep(goOn) // writes whose callers have left are not owed before they end
	for _, store := range s.stores {
		store.late.Wait()
	}
	s.unrest = s.comesToRest()
	if err := s.process.group.Close(); s.unrest == nil {
		s.unrest = err
	}
	for _, store := range s.stores {
		s.final = append(s.final, store.content())
	}
	s.end = s.history.Now()
}

// comesToRest reports whether the group, all healthy, hands back everything
// and goes back to its first member.
func (s *simulation) comesToRest() error {
	group := s.process.group
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := group.Flush(ctx); err != nil {
		return err
	}
	for range 600 {
		if group.Active() == group.Status().Members[0].Name {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("not back at the first member: %+v", group.Status())
}

// play runs a scenario with seeds from first on, until one is bad, and returns
// the sum.
func play(t *testing.T, sc scenario, first, seeds uint64) (sum verdict) {
	for seed := first; seed < first+seeds && sum.bad == 0; seed++ {
		s := &simulation{scenario: sc, seed: seed}
		synctest.Test(t, s.run)
		if t.Failed() {
			break
		}
		sum.add(s.judge(), seed) // outside of the bubble, where time passes while it computes
	}
	return sum
}
