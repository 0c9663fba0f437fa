package backends_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
)

// chaos is a run of clients against a group whose members' servers are killed,
// frozen and stopped, one after another or two at once, and healed at last.
type chaos struct {
	seed    uint64
	places  []*place // the last one is never hurt
	clients int
	lasts   time.Duration

	keys             []string
	history          *linear.History
	faults, overlaps int
	hurts            []atomic.Bool // by place: it is away
	load             *load
	told             counter
}

// phase says what goes on in the group.
func (c *chaos) phase(group *failover.KV) string {
	first := group.Active() == c.places[0].name
	switch {
	case c.hurts[0].Load() && first:
		return "failing"
	case c.hurts[0].Load():
		return "failed-over"
	case !first:
		return "failing-back"
	case slices.ContainsFunc(c.places, func(p *place) bool { return group.Owed()[p.name] > 0 }):
		return "catching-up" // another member than the first
	}
	for i := range c.hurts {
		if c.hurts[i].Load() {
			return "another-away"
		}
	}
	return "healthy"
}

// take takes a server away, in a way that kind says.
func (c *chaos) take(i int, kind fault) (back func()) {
	c.hurts[i].Store(true)
	kind.begin(c.places[i])
	c.faults++
	return func() {
		kind.end(c.places[i])
		c.hurts[i].Store(false)
	}
}

// counter is the Observer of a group.
type counter struct{ switches, owed, handedBack, lost atomic.Int64 }

// Observe counts what the group tells.
func (c *counter) Observe(_ context.Context, e resilient.Event) {
	switch e.Kind {
	case resilient.KindSwitch:
		c.switches.Add(1)
	case resilient.KindOwed:
		c.owed.Add(int64(e.Count))
	case resilient.KindHandedBack:
		c.handedBack.Add(int64(e.Count))
	case resilient.KindLost:
		c.lost.Add(int64(e.Count))
	}
}

// attempt is how long one attempt at a member may take.
const attempt = 500 * time.Millisecond

// hurried is the configuration of a group whose outages last a second and not
// minutes.
func hurried(observer resilient.Observer) failover.Config {
	return failover.Config{
		Writes:   failover.Mirror,
		Complete: true,
		Failback: failover.Failback{After: 200 * time.Millisecond, MaxAfter: time.Second},
		Observer: observer,
		Member: resilient.Config{
			Timeout: attempt, LongTimeout: 2 * attempt,
			Breaker: breaker.Config{OpenFor: 100 * time.Millisecond, MaxOpenFor: 400 * time.Millisecond},
			Probe: resilient.Probe{
				Interval: 250 * time.Millisecond, FastInterval: 100 * time.Millisecond,
				DownInterval: 100 * time.Millisecond, MaxDownInterval: 300 * time.Millisecond, Timeout: attempt,
			},
		},
	}
}

// fault is one way to take a server away, and to bring it back.
type fault struct{ begin, end func(*place) }

var serverFaults = []fault{
	{func(p *place) { p.server.Kill() }, func(p *place) { p.server.Start() }},
	{func(p *place) { p.server.Freeze() }, func(p *place) { p.server.Wake() }},
	{func(p *place) { p.server.Stop() }, func(p *place) { p.server.Start() }},
}

// hurt takes servers away and brings them back until the time is over.
func (c *chaos) hurt() {
	rng, over := rand.New(rand.NewPCG(c.seed, 1<<63)), time.Now().Add(c.lasts)
	between := func(low, high int) { time.Sleep(time.Duration(low+rng.IntN(high-low)) * time.Millisecond) }
	for time.Now().Before(over) {
		between(300, 1200)
		victim := rng.IntN(len(c.places) - 1)
		back := c.take(victim, serverFaults[rng.IntN(len(serverFaults))])
		if rng.IntN(4) == 0 && len(c.places) > 2 { // another one goes away meanwhile
			between(50, 500)
			other := c.take((victim+1)%(len(c.places)-1), serverFaults[rng.IntN(2)])
			c.overlaps++
			between(100, 800)
			other()
		}
		between(200, 2500)
		back()
	}
}

// keysOf returns the keys that all clients share.
func keysOf(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("key-%d", i))
	}
	return keys
}

// run plays it all and returns what each member holds in the end.
func (c *chaos) run(t *testing.T) (contents []map[string]string) {
	c.history, c.keys = linear.New(), keysOf(2*c.clients)
	namespace := fresh()
	members := make([]resilient.KVWithHealth, len(c.places))
	for i, p := range c.places {
		members[i] = p.open(t, namespace)
	}
	group, err := failover.New(hurried(&c.told), members...)
	require.NoError(t, err)

	c.hurts = make([]atomic.Bool, len(c.places))
	l := &load{kv: group, rec: inMemory{c.history}, keys: c.keys, seed: c.seed, phase: func() string { return c.phase(group) }}
	c.load = l
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		l.run(c.clients, stop)
	}()
	c.hurt()
	close(stop)
	<-stopped

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flush(t, ctx, group)
	require.Eventually(t, func() bool { return group.Active() == c.places[0].name }, time.Minute, 10*time.Millisecond)
	require.NoError(t, group.Close())
	for _, p := range c.places {
		contents = append(contents, p.content(t, namespace, c.keys))
	}
	return contents
}

// flush hands back all that is owed, once the breakers have seen that all members
// are well.
func flush(t *testing.T, ctx context.Context, group *failover.KV) {
	require.Eventually(t, func() bool { return group.Flush(ctx) == nil }, time.Minute, 50*time.Millisecond,
		"all members are well, and what is owed does not reach them: %v", group.Owed())
}

// content returns what p holds, past every group.
func (p *place) content(t *testing.T, namespace string, keys []string) map[string]string {
	kv := p.open(t, namespace)
	got, err := kv.(resilient.Batcher).BatchGetRaw(t.Context(), keys)
	require.NoError(t, err)
	require.NoError(t, kv.Close())
	content := map[string]string{}
	for key, value := range got {
		content[key] = string(unpadded(value))
	}
	return content
}

// verdict is what is wrong with a history and with what members hold after it.
type verdict struct {
	wrong                           string
	wrongReads, lost, back, differs int
}

// judge checks the history, then with what the first member holds as a last
// read, and compares the others with the first.
func judge(h *linear.History, keys []string, contents []map[string]string) (v verdict) {
	if v.wrong = h.Check(); v.wrong != "" {
		v.wrongReads++
		return v
	}
	end := h.Now()
	for _, key := range keys {
		value, ok := contents[0][key]
		h.Final(key, value, ok, end)
		for _, other := range contents[1:] {
			if v2, has := other[key]; has != ok || v2 != value {
				v.differs++
			}
		}
	}
	if v.wrong = h.Check(); v.wrong == "" {
		return v
	}
	for _, key := range h.WrongKeys() {
		if _, ok := contents[0][key]; ok {
			v.back++
		} else {
			v.lost++
		}
	}
	return v
}

// require demands that nothing is wrong.
func (v verdict) require(t *testing.T, contents []map[string]string) {
	require.Empty(t, v.wrong)
	require.Zero(t, v.differs, "members differ: %v", contents)
}

func names(places []*place) string {
	var all []string
	for _, p := range places {
		all = append(all, p.name)
	}
	return strings.Join(all, ",")
}

// variable returns the number in a variable of the environment, or what it is
// without.
func variable(t *testing.T, name string, without int) int {
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

func newPlaces(t *testing.T, kinds ...string) (places []*place) {
	for _, kind := range kinds {
		places = append(places, newPlace(t, kind))
	}
	return places
}

// TestChaos: while servers are killed, frozen and stopped under load, no call
// fails, no read is wrong, and in the end all members hold what was acknowledged.
// HOLDFAST_CHAOS is how many seconds it lasts, HOLDFAST_CHAOS_CLIENTS how many
// call; HOLDFAST_SEED repeats a run's choices.
func TestChaos(t *testing.T) {
	for _, kinds := range [][]string{{"redis", "postgres", "bolt"}, {"etcd", "bolt"}, {"consul", "bolt"}} {
		t.Run(strings.Join(kinds, ","), func(t *testing.T) { testChaos(t, newPlaces(t, kinds...)) })
	}
}

func testChaos(t *testing.T, places []*place) {
	c := &chaos{
		places: places, clients: variable(t, "HOLDFAST_CHAOS_CLIENTS", 6),
		seed:  uint64(variable(t, "HOLDFAST_SEED", int(time.Now().UnixNano()))),
		lasts: time.Duration(variable(t, "HOLDFAST_CHAOS", 20)) * time.Second,
	}
	contents := c.run(t)
	v, n := judge(c.history, c.keys, contents), c.history.Counts()
	lines, slowest, calls := c.load.distribution()
	for _, line := range lines {
		t.Logf("RESULT kind=chaos-latency members=%s %s", names(c.places), line)
	}
	t.Logf("RESULT kind=chaos members=%s clients=%d calls=%d faults=%d overlaps=%d switches=%d owed=%d handed_back=%d "+
		"failed=%d uncertain=%d ambiguous=%d slowest_ms=%d lost_acked=%d wrong_reads=%d resurrected=%d differ=%d seed=%d",
		names(c.places), c.clients, calls, c.faults, c.overlaps, c.told.switches.Load(), c.told.owed.Load(), c.told.handedBack.Load(),
		n.Failed, n.Uncertain, n.Unsure, slowest, v.lost, v.wrongReads, v.back, v.differs, c.seed)
	v.require(t, contents)
	require.Zero(t, c.told.lost.Load(), "the group gave writes up")
	require.Empty(t, c.load.failed, "calls that failed while a healthy complete member was there")
	require.Positive(t, c.told.handedBack.Load(), "a run in which nothing is handed back shows nothing")
	require.GreaterOrEqual(t, c.told.switches.Load(), int64(2))
	require.Greater(t, calls, 100*c.clients)
}
