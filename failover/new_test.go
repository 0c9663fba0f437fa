package failover_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestS32_NewNamesEveryFaultAtOnce(t *testing.T) {
	var typedNil *constant
	_, err := failover.New(failover.Config{
		Writes:   failover.Writes(9),
		Failback: failover.Failback{After: time.Minute, MaxAfter: time.Second, Manual: true},
	}, nil, typedNil)
	for _, part := range []string{"Config.Writes", "Config.Failback.MaxAfter", "Config.Failback.After", "member 0 is nil", "member 1 is nil"} {
		require.ErrorContains(t, err, part)
	}
}

func TestNewRefusesNoMembers(t *testing.T) {
	_, err := failover.New(failover.Config{Writes: failover.Mirror})
	require.ErrorContains(t, err, "no members")
}

func TestS32_NewRefusesTheSameStoreTwice(t *testing.T) {
	kv := openMem(t)
	_, err := failover.New(failover.Config{Writes: failover.Mirror}, kv, kv)
	require.ErrorContains(t, err, "members 0 and 1 are the same store")
	require.NoError(t, kv.Close())
}

func TestNewRefusesOneStoreUnderTwoSkins(t *testing.T) {
	kv := openMem(t)
	_, err := failover.New(failover.Config{Writes: failover.Mirror}, kv, kvtest.NewFault(kv))
	require.ErrorContains(t, err, "members 0 and 1 are the same store")
	require.NoError(t, kv.Close())
}

func TestS32_NewRefusesTwoMembersOfOneGivenName(t *testing.T) {
	a, err := resilient.Wrap(openMem(t), resilient.Config{Name: "twin"})
	require.NoError(t, err)
	b, err := resilient.Wrap(openMem(t), resilient.Config{Name: "twin"})
	require.NoError(t, err)
	_, err = failover.New(failover.Config{Writes: failover.Mirror}, a, b)
	require.ErrorContains(t, err, `"twin"`)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func TestNewRefusesAStoreThatIsInAnotherGroup(t *testing.T) {
	s, err := resilient.Wrap(openMem(t), resilient.Config{Name: "shared"})
	require.NoError(t, err)
	first := groupOf(t, failover.Config{Name: "one", Writes: failover.Mirror}, s)
	_, err = failover.New(failover.Config{Name: "two", Writes: failover.Mirror}, s, openMem(t))
	require.ErrorContains(t, err, `"one"`)
	require.NoError(t, first.Close())
}

func TestAFailedNewLeavesTheMembersAsTheyWere(t *testing.T) {
	bare := openMem(t)
	s, err := resilient.Wrap(openMem(t), resilient.Config{Name: "mine"})
	require.NoError(t, err)
	broken := failover.Config{Writes: failover.Mirror, Member: resilient.Config{MaxInFlight: -1}}
	_, err = failover.New(broken, s, bare)
	require.ErrorContains(t, err, "MaxInFlight")

	require.NoError(t, bare.SetRaw(t.Context(), "k", []byte("v")), "the bare member is open")
	group := groupOf(t, failover.Config{Writes: failover.Mirror}, s, bare)
	require.NoError(t, group.SetRaw(t.Context(), "k", []byte("w")), "the Store is free to join a group")
	require.NoError(t, group.Close())
}

func TestBareMembersAreCalledAfterTheirBackends(t *testing.T) {
	given, err := resilient.Wrap(openMem(t), resilient.Config{Name: "mem-2"})
	require.NoError(t, err)
	group := groupOf(t, failover.Config{Writes: failover.Mirror}, openMem(t), given, openBolt(t), openMem(t))
	var names []string
	for _, m := range group.Status().Members {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"mem", "mem-2", "bolt", "mem-3"}, names)
	require.NoError(t, group.Close())
}

func TestAMemoryJournalServesOneGroup(t *testing.T) {
	cfg := failover.Config{Writes: failover.Mirror, Journal: failover.MemoryJournal(0)}
	first := groupOf(t, cfg, openMem(t))
	kv := openMem(t)
	_, err := failover.New(cfg, kv)
	require.ErrorContains(t, err, "another group")
	require.NoError(t, kv.Close())
	require.NoError(t, first.Close())
}

func TestCloseClosesTheMembersUnlessTheyAreKeptOpen(t *testing.T) {
	owned, kept := openMem(t), openMem(t)
	group := groupOf(t, failover.Config{Writes: failover.Mirror}, owned, resilient.KeepOpen(kept))
	require.NoError(t, group.Close())
	require.NoError(t, group.Close(), "a second Close")
	require.ErrorIs(t, owned.Health(t.Context()), resilient.ErrClosed)
	require.NoError(t, kept.Health(t.Context()))
	require.NoError(t, kept.Close())
}

func TestS16_LimitsAreThoseThatEveryMemberKeeps(t *testing.T) {
	group := groupOf(t, failover.Config{Writes: failover.Mirror}, openMem(t), limited{openMem(t), resilient.Limits{MaxKey: 10, MaxValue: 20}})
	defer group.Close()
	require.ErrorIs(t, group.SetRaw(t.Context(), "12345678901", nil), resilient.ErrKeyTooLarge)
	require.ErrorIs(t, group.SetRaw(t.Context(), "k", make([]byte, 21)), resilient.ErrValueTooLarge)
	require.NoError(t, group.SetRaw(t.Context(), "1234567890", make([]byte, 20)))
}

// limited is a store with its own limits.
type limited struct {
	resilient.KVWithHealth
	limits resilient.Limits
}

func (l limited) Limits() resilient.Limits { return l.limits }

// When exactly the breaker closes is chance: a few of many runs show it.
func TestRegression_AMemberThatRecoversWhileItsGroupIsMadeIsNeverWanted(t *testing.T) {
	for n := range 600 {
		stores := make([]*resilient.Store, 2)
		for i, name := range []string{"first", "second"} {
			s, err := resilient.Wrap(openMem(t), resilient.Config{Name: name, Probe: resilient.Probe{Interval: -1}})
			require.NoError(t, err)
			stores[i] = s
		}
		require.NoError(t, stores[0].Breaker().Force(breaker.Open, "away"))
		var begun atomic.Bool
		closed := make(chan error, 1)
		go func() {
			for spins := 7 * (n % 300); !begun.Load() || spins > 0; spins-- {
				continue
			}
			closed <- stores[0].Breaker().Force(breaker.Closed, "back")
		}()
		begun.Store(true)
		group := groupOf(t, failover.Config{Failback: failover.Failback{After: -1}}, stores[0], stores[1])
		require.NoError(t, <-closed)
		if group.Active() != "first" {
			require.Eventually(t, func() bool { return group.Active() == "first" }, 10*time.Second, time.Millisecond)
		}
		require.NoError(t, group.Close())
	}
}
