package failover_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// rig is a group of memory stores behind fault switches, in a bubble.
type rig struct {
	t      *testing.T
	ctx    context.Context
	stores []*memkv.KV
	faults []*kvtest.Fault
	events *kvtest.Recorder
	kv     *failover.KV
}

// timeout is that of every member of a rig; its health is asked for every
// second, and every 100 ms while in doubt.
const timeout = time.Second

// inRig runs test on a group of n members, Mirror and Complete unless change
// says otherwise.
func inRig(t *testing.T, n int, change func(*failover.Config), test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, ctx: t.Context(), events: &kvtest.Recorder{}}
		cfg := failover.Config{
			Writes: failover.Mirror, Complete: true, Observer: r.events,
			Member: resilient.Config{
				Timeout: timeout,
				Breaker: breaker.Config{OpenFor: 200 * time.Millisecond},
				Probe: resilient.Probe{
					Interval: time.Second, FastInterval: 100 * time.Millisecond, DownInterval: 100 * time.Millisecond,
					MaxDownInterval: 100 * time.Millisecond, Timeout: time.Second,
				},
			},
		}
		if change != nil {
			change(&cfg)
		}
		members := make([]resilient.KVWithHealth, n)
		for i := range members {
			kv, err := memkv.New(memkv.Config{})
			require.NoError(t, err)
			fault := kvtest.NewFault(kv)
			r.stores, r.faults = append(r.stores, kv), append(r.faults, fault)
			members[i] = fault
		}
		kv, err := failover.New(cfg, members...)
		require.NoError(t, err)
		r.kv = kv
		defer func() {
			for _, f := range r.faults {
				f.Up()
			}
			_ = kv.Close() // says what is owed, which some tests leave
		}()
		time.Sleep(2 * time.Second) // first checks
		test(r)
	})
}

// name returns what member i is called.
func (r *rig) name(i int) string { return []string{"mem", "mem-2", "mem-3"}[i] }

// set writes through the group and wants it acknowledged.
func (r *rig) set(key, value string) {
	r.t.Helper()
	require.NoError(r.t, r.kv.SetRaw(r.ctx, key, []byte(value)))
}

// wants that a read through the group gives value.
func (r *rig) reads(key, value string) {
	r.t.Helper()
	got, err := r.kv.GetRaw(r.ctx, key)
	require.NoError(r.t, err)
	require.Equal(r.t, value, string(got))
}

// holds wants that member i itself has value under key.
func (r *rig) holds(i int, key, value string) {
	r.t.Helper()
	got, err := r.stores[i].GetRaw(r.ctx, key)
	require.NoError(r.t, err)
	require.Equal(r.t, value, string(got))
}

// lacks wants that member i itself has no such key.
func (r *rig) lacks(i int, key string) {
	r.t.Helper()
	_, err := r.stores[i].GetRaw(r.ctx, key)
	require.ErrorIs(r.t, err, resilient.ErrNotFound)
}

// rest waits until nothing is owed.
func (r *rig) rest() {
	r.t.Helper()
	for range 1000 {
		if len(r.kv.Owed()) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(r.t, r.kv.Owed(), "still owed after 100 s")
}

// took returns how long f takes on the bubble's clock.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
