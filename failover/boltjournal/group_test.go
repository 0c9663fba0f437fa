package boltjournal_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// process is one life of a process that has a group over two stores, which
// outlive it.
type process struct {
	group  *failover.KV
	faults [2]*kvtest.Fault // its ways to the stores
}

func start(t *testing.T, mode failover.Writes, path string, stores [2]*memkv.KV) *process {
	t.Helper()
	journal, err := boltjournal.Open(path, boltjournal.Config{})
	require.NoError(t, err)
	p := &process{}
	var members []resilient.KVWithHealth
	for i, s := range stores {
		p.faults[i] = kvtest.NewFault(s)
		members = append(members, resilient.KeepOpen(p.faults[i]))
	}
	p.group, err = failover.New(failover.Config{
		Writes: mode, Complete: mode != failover.Handoff, Journal: journal,
		Member: resilient.Config{
			Timeout: time.Second,
			Breaker: breaker.Config{OpenFor: 200 * time.Millisecond},
			Probe: resilient.Probe{Interval: time.Second, FastInterval: 100 * time.Millisecond,
				DownInterval: 100 * time.Millisecond, MaxDownInterval: 100 * time.Millisecond},
		},
	}, members...)
	require.NoError(t, err)
	return p
}

// copyOf returns a copy of the file at path: what a process that died now
// would leave.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "left.db")
	require.NoError(t, os.WriteFile(to, b, 0o600))
	return to
}

func TestAGroupGoesOnWithWhatADeadProcessOwed(t *testing.T) {
	for _, mode := range []failover.Writes{failover.Handoff, failover.MirrorStrict} {
		t.Run(mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { goesOn(t, mode, filepath.Join(dir, "owed.db")) })
		})
	}
}

func goesOn(t *testing.T, mode failover.Writes, path string) {
	ctx := t.Context()
	var stores [2]*memkv.KV
	for i := range stores {
		var err error
		stores[i], err = memkv.New(memkv.Config{})
		require.NoError(t, err)
		require.NoError(t, stores[i].SetRaw(ctx, "changed", []byte("old")))
		require.NoError(t, stores[i].SetRaw(ctx, "deleted", []byte("old")))
	}
	if mode == failover.Handoff { // nothing but the first holds what is not owed
		require.NoError(t, stores[1].Delete(ctx, "changed"))
		require.NoError(t, stores[1].Delete(ctx, "deleted"))
	}

	first := start(t, mode, path, stores)
	defer func() { _ = first.group.Close() }()
	time.Sleep(2 * time.Second) // first checks
	require.NoError(t, first.group.SetRaw(ctx, "before", []byte("v")))
	first.faults[0].Down()
	time.Sleep(5 * time.Second)
	require.NoError(t, first.group.SetRaw(ctx, "changed", []byte("new")))
	require.NoError(t, first.group.Delete(ctx, "deleted"))
	require.NoError(t, first.group.BatchSetRaw(ctx, map[string][]byte{"batch 1": []byte("1"), "batch 2": []byte("2")}))
	owed := first.group.Owed()
	require.Equal(t, 4, owed[first.group.Status().Members[0].Name])
	first.faults[1].Down() // from here on the first process is dead to its stores
	synctest.Wait()

	left := copyOf(t, path)
	second := start(t, mode, left, stores)
	defer func() { _ = second.group.Close() }()
	want := map[string]string{"before": "v", "changed": "new", "batch 1": "1", "batch 2": "2"}
	reads := func(when string) {
		t.Helper()
		for key, value := range want {
			got, err := second.group.GetRaw(ctx, key)
			require.NoError(t, err, when)
			require.Equal(t, value, string(got), when)
		}
		_, err := second.group.GetRaw(ctx, "deleted")
		require.ErrorIs(t, err, resilient.ErrNotFound, when)
	}
	require.Equal(t, owed, second.group.Owed())
	old, err := stores[0].GetRaw(ctx, "changed")
	require.NoError(t, err)
	require.Equal(t, "old", string(old), "the first member has not got it yet")
	reads("the overlay answers")

	require.Eventually(t, func() bool { return second.group.Flush(ctx) == nil }, time.Hour, time.Second)
	for key, value := range want {
		got, err := stores[0].GetRaw(ctx, key)
		require.NoError(t, err)
		require.Equal(t, value, string(got))
	}
	_, err = stores[0].GetRaw(ctx, "deleted")
	require.ErrorIs(t, err, resilient.ErrNotFound)
	reads("the first member answers")
	if mode == failover.Handoff {
		keys, err := stores[1].List(ctx, "")
		require.NoError(t, err)
		require.Empty(t, keys, "outage-era copies are gone")
	}

	require.NoError(t, second.group.Close())
	report, err := boltjournal.Inspect(left, boltjournal.Config{})
	require.NoError(t, err)
	require.Zero(t, report.Keys, "the journal is empty")
	require.True(t, report.Clean)
}

// pair is two stores and the journal of a group over them.
type pair struct {
	t      *testing.T
	path   string
	faults [2]*kvtest.Fault
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, path: filepath.Join(t.TempDir(), "journal")}
	for i := range p.faults {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		p.faults[i] = kvtest.NewFault(kv)
	}
	return p
}

func (p *pair) start(mode failover.Writes) *failover.KV {
	p.t.Helper()
	j, err := boltjournal.Open(p.path, boltjournal.Config{NoSync: true})
	require.NoError(p.t, err)
	g, err := failover.New(failover.Config{Writes: mode, Journal: j}, resilient.KeepOpen(p.faults[0]), resilient.KeepOpen(p.faults[1]))
	require.NoError(p.t, err)
	return g
}

// giveUp ends the group and discards the one write that member i is owed.
func (p *pair) giveUp(g *failover.KV, i int) {
	p.t.Helper()
	name := g.Status().Members[i].Name
	require.NoError(p.t, g.Close())
	p.faults[i].Up()
	lost, err := boltjournal.Discard(p.path, name, boltjournal.Config{NoSync: true})
	require.NoError(p.t, err)
	require.Equal(p.t, 1, lost)
}

// What was given up is not there: the member's misses are no answers until it has
// been rebuilt again.
func TestRegression_ARebuiltMemberIsTakenForWholeAfterWhatItWasOwedIsDiscarded(t *testing.T) {
	p := newPair(t)
	g := p.start(failover.Mirror)
	require.NoError(t, g.Rebuild(t.Context(), g.Status().Members[1].Name, nil))
	p.faults[1].Down()
	require.NoError(t, g.SetRaw(t.Context(), "k", []byte("v")))
	p.giveUp(g, 1)
	g = p.start(failover.Mirror)
	defer func() { require.NoError(t, g.Close()) }()
	p.faults[0].Down()
	_, err := g.GetRaw(t.Context(), "k")
	require.ErrorIs(t, err, failover.ErrUncertain)
}

// The others of a mirror have what its first member gave up; nobody has what that
// of a Handoff did.
func TestRegression_TheFirstMemberOfAMirrorIsTakenForWholeAfterAnOfflineDiscard(t *testing.T) {
	for mode, wants := range map[failover.Writes]error{failover.Mirror: nil, failover.Handoff: resilient.ErrNotFound} {
		t.Run(mode.String(), func(t *testing.T) {
			p := newPair(t)
			g := p.start(mode)
			p.faults[0].Down()
			require.NoError(t, g.SetRaw(t.Context(), "k", []byte("v")))
			p.giveUp(g, 0)
			g = p.start(mode)
			defer func() { require.NoError(t, g.Close()) }()
			_, err := g.GetRaw(t.Context(), "k")
			require.ErrorIs(t, err, wants)
		})
	}
}
