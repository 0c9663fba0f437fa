package backends_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// soaked is one group of a soak: a primary that flaps, a second member that is
// always well, a journal on the disk, and clients that do nothing but call. What
// they are told goes to a file, so that the history does not count as growth.
type soaked struct {
	writes  failover.Writes
	places  []*place
	clients int
	// primary opens the first member. take takes it away, in a way that n says.
	primary func(tb testing.TB, namespace string) resilient.KVWithHealth
	take    func(n int) (back func())
	gate    *sync.RWMutex // held by each call; who locks it lets nobody call

	namespace, journal, history string
	group                       *failover.KV
	load                        *load
	pipe                        *onPipe
	told                        counter

	away      atomic.Bool
	writing   atomic.Int64 // writes under way
	whileAway atomic.Int64 // writes that began while the primary was away
	flipped   atomic.Int64 // switches that met writes under way

	counts   linear.Counts
	contents []map[string]string
	verdict  verdict
}

// redisThenBolt is a group whose primary's server is killed and frozen by turns.
func redisThenBolt(t *testing.T) *soaked {
	places := newPlaces(t, "redis", "bolt")
	s := &soaked{writes: failover.Mirror, places: places}
	s.primary = func(tb testing.TB, namespace string) resilient.KVWithHealth {
		kv, err := rediskv.Open(places[0].where, rediskv.Config{Namespace: namespace, PoolSize: s.connections()})
		require.NoError(tb, err)
		return kv
	}
	s.take = func(n int) func() {
		kind := serverFaults[n%2]
		kind.begin(places[0])
		return func() { kind.end(places[0]) }
	}
	return s
}

// connections is how many connections a server is to have: one for each client,
// each worker of a hand-back, and a check.
func (s *soaked) connections() int { return s.clients + 4 + 1 }

// boltThenBolt is a group of two stores in files of this process, whose primary
// refuses, hangs and fails writes by turns. The writes that hung are applied when
// it is back. Badger would not do: it takes 60 MiB more whenever a memtable is
// full, for some seconds, and nothing smaller would show.
func boltThenBolt(t *testing.T) *soaked {
	places := newPlaces(t, "bolt", "bolt")
	s := &soaked{writes: failover.MirrorStrict, places: places}
	var fault *kvtest.Fault
	s.primary = func(tb testing.TB, namespace string) resilient.KVWithHealth {
		fault = kvtest.NewFault(places[0].open(tb, namespace))
		return fault
	}
	s.take = func(n int) func() {
		switch n % 3 {
		case 0:
			fault.Down()
		case 1:
			fault.ApplyLate(true)
			fault.Hang()
		case 2:
			fault.FailWrites(nil)
		}
		return fault.Up
	}
	return s
}

// prepare says who calls, with which choices, and where everything is kept.
func (s *soaked) prepare(t *testing.T, clients int, seed uint64, gate *sync.RWMutex) {
	dir := t.TempDir()
	s.clients, s.gate, s.namespace = clients, gate, fresh()
	s.journal, s.history = filepath.Join(dir, "journal.db"), filepath.Join(dir, "history")
	history, err := os.Create(s.history)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, history.Close()) })
	s.pipe = &onPipe{to: history}
	s.load = &load{rec: s, keys: keysOf(8 * clients), seed: seed, busy: true, pad: 1 << 10}
}

// open makes the group.
func (s *soaked) open(t *testing.T) {
	cfg := hurried(s)
	// A primary that relapses every 2 s is to be back before that.
	cfg.Writes, cfg.Failback.MaxAfter = s.writes, 2*cfg.Failback.After
	var err error
	cfg.Journal, err = boltjournal.Open(s.journal, boltjournal.Config{})
	require.NoError(t, err)
	s.group, err = failover.New(cfg, s.primary(t, s.namespace), s.places[1].open(t, s.namespace))
	require.NoError(t, err)
	s.load.kv = s.group
}

// close brings the group to rest and closes it, and keeps nothing of it.
func (s *soaked) close(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flush(t, ctx, s.group)
	first := s.group.Status().Members[0].Name
	require.Eventually(t, func() bool { return s.group.Active() == first }, time.Minute, 10*time.Millisecond)
	require.NoError(t, s.group.Close())
	s.group, s.load.kv = nil, nil
}

// rehearse opens the group once, takes its primary away and closes it: what a
// process makes once for all groups is there afterwards.
func (s *soaked) rehearse(t *testing.T) {
	s.open(t)
	back := s.take(0)
	require.NoError(t, s.group.SetRaw(t.Context(), "rehearsal", nil))
	back()
	require.NoError(t, s.group.Delete(t.Context(), "rehearsal"))
	s.close(t)
	s.told.switches.Store(0)
	s.told.handedBack.Store(0)
}

// begin is the recorder's: it lets a call wait while somebody measures.
func (s *soaked) begin(client int, ins []linear.In) func(map[string][]byte, error) {
	s.gate.RLock()
	changes := int64(0)
	if writes(ins) {
		changes = 1
		if s.away.Load() {
			s.whileAway.Add(1)
		}
	}
	s.writing.Add(changes)
	ended := s.pipe.begin(client, ins)
	return func(got map[string][]byte, err error) {
		ended(got, err)
		s.writing.Add(-changes)
		s.gate.RUnlock()
	}
}

// Observe notes whether writes meet a switch.
func (s *soaked) Observe(ctx context.Context, e resilient.Event) {
	s.told.Observe(ctx, e)
	if e.Kind == resilient.KindSwitch && s.writing.Load() > 0 {
		s.flipped.Add(1)
	}
}

// judge reads back what the clients were told, and holds it against what the
// members have.
func (s *soaked) judge(t *testing.T) {
	in, err := os.Open(s.history)
	require.NoError(t, err)
	defer in.Close()
	tr, h := &transcript{done: make(chan struct{}), killed: time.Now()}, linear.New()
	tr.read(in)
	tr.tell(t, h)
	for _, p := range s.places {
		s.contents = append(s.contents, p.content(t, s.namespace, s.load.keys))
	}
	s.verdict, s.counts = judge(h, s.load.keys, s.contents), h.Counts()
}

// require demands that nothing is wrong, and that the run can show it.
func (s *soaked) require(t *testing.T, flaps int) {
	s.verdict.require(t, s.contents)
	require.Empty(t, s.load.failed, "%s: calls that failed while a healthy complete member was there", names(s.places))
	require.Zero(t, s.counts.Unsure, "%s: ambiguous writes", names(s.places))
	require.Zero(t, s.told.lost.Load(), "%s: the group gave writes up", names(s.places))
	for what, n := range map[string]int64{
		"calls of each client":            int64(s.pipe.calls / s.clients),
		"writes while it was away":        s.whileAway.Load(),
		"records handed back":             s.told.handedBack.Load(),
		"switches with writes under way":  5 * s.flipped.Load(),
		"switches to the other and again": 5 * s.told.switches.Load() / 2,
	} {
		require.Greater(t, n, int64(5*flaps/2), "invalid, the load or its overlap with the faults is too small: %s: %s", names(s.places), what)
	}
}
