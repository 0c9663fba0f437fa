package backends_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/internal/linear"
)

// TestTheProcessIsKilledWhileServersFail: a process with a group, a journal on
// disk and clients is killed again and again, while the servers of its members
// are killed, frozen and stopped as well. In the end nothing that it acknowledged
// is lost, nothing it read was wrong, and the members are equal: in MirrorStrict
// once all is handed back, in Mirror after a Rebuild.
func TestTheProcessIsKilledWhileServersFail(t *testing.T) {
	for _, run := range []struct {
		writes  failover.Writes
		members []string
	}{
		{failover.MirrorStrict, []string{"redis", "postgres"}},
		{failover.Mirror, []string{"redis", "postgres"}},
		{failover.MirrorStrict, []string{"postgres", "bolt"}},
	} {
		t.Run(run.writes.String()+" of "+run.members[0]+" and "+run.members[1], func(t *testing.T) {
			killed(t, run.writes, newPlaces(t, run.members...))
		})
	}
}

func killed(t *testing.T, writes failover.Writes, places []*place) {
	seed := uint64(variable(t, "HOLDFAST_SEED", int(time.Now().UnixNano())))
	rng := rand.New(rand.NewPCG(seed, 1))
	lives := variable(t, "HOLDFAST_LIVES", 8)
	l := life{
		Writes: writes, Namespace: fresh(), Journal: filepath.Join(t.TempDir(), "journal.db"), Keys: keysOf(12), Clients: 6, Seed: seed,
	}
	for _, p := range places {
		l.Members = append(l.Members, address{p.name, p.where})
	}
	h := linear.New()
	h.Loose = writes == failover.Mirror

	var servers []*place
	for _, p := range places {
		if p.server != nil {
			servers = append(servers, p)
		}
	}
	// They are hurt one at a time: one member is always well.
	stop, faults := make(chan struct{}), 0
	var nemesis sync.WaitGroup
	nemesis.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 2))
		pause := func(low, high int) bool {
			select {
			case <-stop:
				return false
			case <-time.After(time.Duration(low+rng.IntN(high-low)) * time.Millisecond):
				return true
			}
		}
		for pause(200, 1000) {
			victim := servers[rng.IntN(len(servers))]
			kind := serverFaults[rng.IntN(len(serverFaults))]
			kind.begin(victim)
			faults++
			pause(200, 1200)
			kind.end(victim)
		}
	})
	var dead []*transcript
	for l.Number = 1; l.Number <= lives; l.Number++ {
		tr, kill := l.begin(t)
		time.Sleep(time.Duration(300+rng.IntN(2200)) * time.Millisecond)
		kill()
		dead = append(dead, tr)
	}
	close(stop)
	nemesis.Wait()
	for _, tr := range dead {
		tr.tell(t, h)
	}

	var seen counter
	group, err := l.join(&seen)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if writes == failover.Mirror {
		require.Eventually(t, func() bool { return group.Rebuild(ctx, places[1].name, nil) == nil }, time.Minute, 100*time.Millisecond)
	}
	flush(t, ctx, group)
	require.Eventually(t, func() bool { return group.Active() == places[0].name }, time.Minute, 10*time.Millisecond)
	require.NoError(t, group.Close())
	var contents []map[string]string
	for _, p := range places {
		contents = append(contents, p.content(t, l.Namespace, l.Keys))
	}
	v, n := judge(h, l.Keys, contents), h.Counts()
	t.Logf("RESULT kind=chaos-crash mode=%s members=%s clients=%d ops=%d faults=%d kills=%d handed_back_at_last=%d failed=%d ambiguous=%d "+
		"lost_acked=%d wrong_reads=%d resurrected=%d differ=%d seed=%d", writes, names(places), l.Clients, n.Calls, faults, lives,
		seen.handedBack.Load(), n.Failed, n.Unsure, v.lost, v.wrongReads, v.back, v.differs, seed)
	v.require(t, contents)
	require.Greater(t, n.Calls, 100*lives)
	require.Positive(t, n.Unsure, "no call was cut off by a kill")
}
