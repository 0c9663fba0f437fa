package failover_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// observerFunc is an Observer.
type observerFunc func(context.Context, resilient.Event)

func (f observerFunc) Observe(ctx context.Context, e resilient.Event) { f(ctx, e) }

func TestAnObserverThatPanicsLosesNoEventAndNoCall(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Observer = resilient.Tee(cfg.Observer)
		all := cfg.Observer
		cfg.Observer = observerFunc(func(ctx context.Context, e resilient.Event) {
			all.Observe(ctx, e)
			panic("observer")
		})
	}, func(r *rig) {
		r.set("k", "1")
		r.away(0)
		r.set("k", "2")
		r.reads("k", "2")
		r.back(0)
		r.rest()
		r.activates(0)
		require.NoError(t, r.kv.Drain(r.name(1)))
		r.set("k", "3")
		require.ErrorIs(t, func() error { r.faults[1].Down(); _ = r.kv.Release(r.name(1)); return r.kv.Close() }(), failover.ErrOwed)
		for _, kind := range []resilient.Kind{
			resilient.KindCall, resilient.KindDone, resilient.KindProbe, resilient.KindChange, resilient.KindSwitch,
			resilient.KindOwed, resilient.KindHandedBack, resilient.KindLost,
		} {
			require.Positive(t, r.events.Count(kind), kind.String())
		}
		require.Equal(t, 4, r.events.Count(resilient.KindDone))
		require.Equal(t, 2, r.events.Count(resilient.KindSwitch))
	})
}

// inside marks the calls that an observer makes.
type inside struct{}

// callBack makes every call that a group has but those that end it.
func callBack(ctx context.Context, kv *failover.KV) {
	_ = kv.SetRaw(ctx, "k", []byte("observer"))
	_, _ = kv.GetRaw(ctx, "k")
	_, _ = kv.List(ctx, "")
	_ = kv.BatchDelete(ctx, []string{"x", "k"})
	first := kv.Status().Members[0].Name // the other must be there for the calls of the test
	_ = kv.Drain(first)
	_ = kv.Release(first)
	_ = kv.Failback(ctx)
	_ = kv.Flush(ctx)
	_ = kv.Health(ctx)
	_ = kv.Owed()
}

// Of a Call event an observer is told in the midst of the call: what the call
// waits for, its key, must not be waited for there.
func TestAnObserverMayCallTheGroup(t *testing.T) {
	var group atomic.Pointer[failover.KV]
	var told [resilient.KindLost + 1]atomic.Int32
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Observer = resilient.Tee(cfg.Observer, observerFunc(func(ctx context.Context, e resilient.Event) {
			kv := group.Load()
			if kv == nil || ctx.Value(inside{}) != nil || told[e.Kind].Add(1) > 5 {
				return
			}
			if e.Kind == resilient.KindCall {
				_, _, _ = kv.Status(), kv.Owed(), kv.Health(ctx)
				return
			}
			ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), inside{}, true), time.Second)
			defer cancel()
			callBack(ctx, kv)
		}))
	}, func(r *rig) {
		group.Store(r.kv)
		r.set("k", "1")
		r.away(0)
		r.set("k", "2")
		r.set("other", "2")
		_, _ = r.kv.GetRaw(r.ctx, "k")
		r.back(0)
		r.activates(0)
		r.rest()
		for kind := range told { // from now on hand-backs alone: else the observer's Flush gets ahead of them
			if k := resilient.Kind(kind); k != resilient.KindStale && k != resilient.KindLost && k != resilient.KindHandedBack {
				require.Positive(t, told[k].Load(), "it was told of no %v", k)
				told[k].Store(5)
			}
		}
		told[resilient.KindHandedBack].Store(0)
		r.owe(0, "other")
		require.NoError(t, r.kv.Release(r.name(0)))
		r.rest()
		group.Store(nil)
		require.Positive(t, told[resilient.KindHandedBack].Load())
		r.set("k", "3")
		r.set("x", "3")
		r.converges(map[string]string{"k": "3", "x": "3", "other": "v"})
	})
}

func TestAnObserverMayCloseTheGroup(t *testing.T) {
	for _, kind := range []resilient.Kind{
		resilient.KindDone, resilient.KindOwed, resilient.KindHandedBack, resilient.KindSwitch, resilient.KindProbe, resilient.KindChange,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			var group atomic.Pointer[failover.KV]
			var once atomic.Bool
			var took time.Duration
			closed := make(chan struct{}, 1)
			inRig(t, 2, func(cfg *failover.Config) {
				closed = make(chan struct{}, 1) // of the bubble
				cfg.Observer = resilient.Tee(cfg.Observer, observerFunc(func(_ context.Context, e resilient.Event) {
					kv := group.Load()
					if kv == nil || e.Kind != kind || !once.CompareAndSwap(false, true) {
						return
					}
					began := time.Now()
					_ = kv.Close()
					took = time.Since(began)
					closed <- struct{}{}
				}))
			}, func(r *rig) {
				r.set("k", "1")
				group.Store(r.kv)
				go func() {
					r.faults[0].Down()
					_ = r.kv.SetRaw(r.ctx, "k", []byte("2"))
					time.Sleep(10 * time.Second)
					r.faults[0].Up()
				}()
				<-closed
				require.LessOrEqual(t, took, 5*time.Second)
				synctest.Wait()
				require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", nil), resilient.ErrClosed)
				time.Sleep(20 * time.Second)
			})
		})
	}
}

// Two Stores of one backend that nobody has named are told apart by what the
// group calls them.
func TestMembersEventsCarryTheNamesThatTheGroupGivesThem(t *testing.T) {
	events := &kvtest.Recorder{}
	members := make([]resilient.KVWithHealth, 2)
	for i := range members {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		members[i], err = resilient.Wrap(kv, resilient.Config{Observer: events, Probe: resilient.Probe{Interval: -1}})
		require.NoError(t, err)
	}
	kv, err := failover.New(failover.Config{Writes: failover.Mirror, Complete: true}, members...)
	require.NoError(t, err)
	require.NoError(t, kv.SetRaw(t.Context(), "k", nil))
	require.NoError(t, kv.Close())
	calls := map[string]int{}
	for _, e := range events.Of(resilient.KindCall) {
		calls[e.Group+" "+e.Store]++
	}
	require.Equal(t, map[string]int{"failover mem": 1, "failover mem-2": 1}, calls)
}
