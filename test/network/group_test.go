package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/linear"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	clients = 4
	// lasts is how long a fault lasts in a group.
	lasts = time.Second
	// settles is how long the group may take to be as it was. It is only used up
	// by one that never is.
	settles = time.Minute
)

// group is a group of which each member has a proxy, and what its clients saw.
type group struct {
	sites   []*site
	proxies []*proxy
	kv      *failover.KV
	keys    []string
	history *linear.History

	mu     sync.Mutex // guards failed
	failed []error
}

// hurried is the configuration of a group whose outages last a second and not
// minutes.
func hurried() failover.Config {
	const attempt = 500 * time.Millisecond
	return failover.Config{
		Writes:   failover.Mirror,
		Complete: true,
		Failback: failover.Failback{After: 200 * time.Millisecond, MaxAfter: time.Second},
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

func newGroup(t *testing.T, names ...string) *group {
	g := &group{history: linear.New()}
	var members []resilient.KVWithHealth
	for _, name := range names {
		i := slices.IndexFunc(backends, func(b backend) bool { return b.name == name })
		s := backends[i].site(t)
		p, err := newProxy(s.server.Addr())
		require.NoError(t, err)
		t.Cleanup(p.stop)
		member, err := s.through(p, shared)
		require.NoError(t, err)
		g.sites, g.proxies, members = append(g.sites, s), append(g.proxies, p), append(members, member)
	}
	for n := range 4 * clients {
		g.keys = append(g.keys, fmt.Sprintf("key-%02d", n))
	}
	var err error
	g.kv, err = failover.New(hurried(), members...)
	require.NoError(t, err)
	return g
}

// client makes calls that have no deadline, until stop is closed.
func (g *group) client(id int, stop <-chan struct{}) {
	rng := rand.New(rand.NewPCG(1, uint64(id)))
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rng.IntN(10)) * time.Millisecond): // callers have more to do than to call
		}
		if err := g.call(rng, id, fmt.Sprintf("%d.%d", id, n)); err != nil {
			g.mu.Lock()
			g.failed = append(g.failed, err)
			g.mu.Unlock()
		}
	}
}

// call makes one call, writes of value if it is a write, and notes what it was
// told.
func (g *group) call(rng *rand.Rand, client int, value string) (err error) {
	ctx, first := context.Background(), rng.IntN(len(g.keys))
	key, other := g.keys[first], g.keys[(first+1)%len(g.keys)]
	call := g.history.Begin(client, nil)
	switch p := rng.IntN(100); {
	case p < 45:
		got, err := g.kv.GetRaw(ctx, key)
		call.Read(linear.In{Op: linear.Read, Key: key}, got, err)
		if !errors.Is(err, resilient.ErrNotFound) {
			return err
		}
		return nil
	case p < 80:
		err = g.kv.SetRaw(ctx, key, []byte(value))
		call.Wrote(err, linear.In{Op: linear.Write, Key: key, Value: value})
	case p < 90:
		err = g.kv.Delete(ctx, key)
		call.Wrote(err, linear.In{Op: linear.Delete, Key: key})
	default:
		err = g.kv.BatchSetRaw(ctx, map[string][]byte{key: []byte(value), other: []byte(value)})
		call.Wrote(err, linear.In{Op: linear.Write, Key: key, Value: value}, linear.In{Op: linear.Write, Key: other, Value: value})
	}
	return err
}

// suffer lets each fault come to each member for a while, one after another.
func (g *group) suffer(t *testing.T) (owed int) {
	for _, f := range faults {
		for i, p := range g.proxies {
			require.NoError(t, f.prepare(p))
			require.NoError(t, f.strike(p))
			time.Sleep(lasts)
			owed += g.kv.Owed()[g.kv.Status().Members[i].Name]
			require.NoError(t, f.pass(p))
			require.Eventually(t, g.settled, settles, 10*time.Millisecond, "after %s at %s: %+v", f.name, g.sites[i].name, g.kv.Status())
		}
	}
	return owed
}

// settled reports whether all members are well, nobody is owed anything, and the
// first one serves.
func (g *group) settled() bool {
	s := g.kv.Status()
	return s.Owed == 0 && s.Active == s.Members[0].Name &&
		!slices.ContainsFunc(s.Members, func(m resilient.Status) bool { return m.Condition != resilient.Up })
}

// contents returns what the members hold, past their proxies.
func (g *group) contents(t *testing.T) (all []map[string]string) {
	for _, s := range g.sites {
		got, err := s.truth.BatchGetRaw(t.Context(), g.keys)
		require.NoError(t, err)
		content := map[string]string{}
		for key, value := range got {
			content[key] = string(value)
		}
		all = append(all, content)
	}
	return all
}

// TestAGroupServesWhateverOneNetworkDoes: while the network to one member
// misbehaves no call fails and no read is wrong, and in the end both members
// hold what was acknowledged.
func TestAGroupServesWhateverOneNetworkDoes(t *testing.T) {
	g := newGroup(t, "rediskv", "postgreskv")
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	stopAll := sync.OnceFunc(func() { close(stop) })
	defer stopAll()
	for id := range clients {
		all.Go(func() { g.client(id, stop) })
	}
	began := time.Now()
	owed := g.suffer(t)
	stopAll()
	all.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), settles)
	defer cancel()
	require.NoError(t, g.kv.Flush(ctx))
	require.NoError(t, g.kv.Close())
	wrong := g.history.Check()
	contents, end := g.contents(t), g.history.Now()
	for _, key := range g.keys {
		value, ok := contents[0][key]
		g.history.Final(key, value, ok, end)
	}
	lost, wrongReads := g.history.Check(), 0
	if wrong != "" {
		wrongReads = len(g.history.WrongKeys())
	}
	n, lostAcked := g.history.Counts(), 0
	if wrong == "" && lost != "" {
		lostAcked = len(g.history.WrongKeys())
	}
	t.Logf("RESULT kind=network-group members=rediskv,postgreskv clients=%d calls=%d faults=%d owed=%d failed=%d ambiguous=%d lost_acked=%d wrong_reads=%d differ=%t seconds=%.0f",
		clients, n.Calls, len(faults)*len(g.proxies), owed, len(g.failed), n.Unsure, lostAcked, wrongReads,
		!maps.Equal(contents[0], contents[1]), time.Since(began).Seconds())
	require.Empty(t, wrong)
	require.Empty(t, lost)
	require.Equal(t, contents[0], contents[1])
	require.Empty(t, g.failed, "calls that failed while the other member was well")
	require.Greater(t, n.Calls, 1000, "too little load to show anything")
	require.Positive(t, owed, "a run in which nobody is owed anything shows nothing")
}
