package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

// deaf is a member that ignores its ctx and leaves its callers to Detach.
func deaf(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth { return resilient.Detach(kv, 8) }

// detachedIf puts members behind Detach, or leaves them as they are.
func detachedIf(detached bool) func(int, resilient.KVWithHealth) resilient.KVWithHealth {
	return func(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if detached {
			return resilient.Detach(kv, 0)
		}
		return kv
	}
}

func TestADetachedMemberThatIgnoresItsContextCostsOneTimeout(t *testing.T) {
	inRigOf(t, 2, unbreakable, deaf, func(r *rig) {
		r.set("k", "1")
		r.faults[0].HangIgnoringContext()
		require.Equal(t, timeout, took(func() { r.reads("k", "1") }))
		require.Zero(t, took(func() { r.reads("k", "1") }))
		require.Zero(t, took(func() { r.set("k", "2") }))
		r.faults[0].Up()
		r.converges(map[string]string{"k": "2"})
	})
}

// What a call that was left behind does when the store wakes is not the last
// word on its key.
func TestAWriteThatADetachedMemberAppliesLateIsOverwritten(t *testing.T) {
	for _, late := range []time.Duration{time.Second, time.Minute} {
		t.Run(late.String(), func(t *testing.T) {
			inRigOf(t, 2, unbreakable, deaf, func(r *rig) {
				r.faults[0].ApplyLate(true)
				r.faults[0].HangIgnoringContext()
				r.faults[0].LieHealthy()
				require.LessOrEqual(t, took(func() { r.set("k", "1") }), timeout+50*time.Millisecond)
				r.set("k", "2")
				time.Sleep(late)
				require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed(), "\"1\" is still running there")
				r.faults[0].Up()
				r.converges(map[string]string{"k": "2"})
			})
		})
	}
}

// A call that goes on after its caller has left may land at any time: until it
// has returned, no acknowledgement and no hand-back counts.
func TestAKeyIsOwedWhileACallThatWasLeftBehindGoesOn(t *testing.T) {
	for name, dress := range map[string]func(resilient.KVWithHealth) resilient.KVWithHealth{
		"detached":     func(kv resilient.KVWithHealth) resilient.KVWithHealth { return resilient.Detach(kv, 0) },
		"not detached": func(kv resilient.KVWithHealth) resilient.KVWithHealth { return kv },
	} {
		t.Run(name, func(t *testing.T) {
			inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if i != 0 {
					return kv
				}
				return dress(&hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
					if string(value) == "1" {
						time.Sleep(20 * time.Second)
					}
					return kv.SetRaw(context.WithoutCancel(ctx), key, value)
				}})
			}, func(r *rig) {
				began := time.Now()
				r.set("k", "1")
				r.activates(0) // its checks are good
				r.set("k", "2")
				require.Less(t, time.Since(began), 2*timeout, "no hand-back of \"1\" is in its way")
				r.holds(0, "k", "2")
				for time.Since(began) < 18*time.Second {
					require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
					time.Sleep(time.Second)
				}
				r.converges(map[string]string{"k": "2"})
				require.GreaterOrEqual(t, time.Since(began), 20*time.Second)
				time.Sleep(time.Minute)
				r.holds(0, "k", "2")
			})
		})
	}
}

// What a slow member cannot take in time waits as keys, not as goroutines.
func TestAMemberThatIsSlowerThanTheWritesIsNotSentThemWithoutEnd(t *testing.T) {
	var now, most atomic.Int32
	var quick atomic.Bool
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			if !quick.Load() {
				time.Sleep(900 * time.Millisecond)
			}
			return kv.SetRaw(ctx, key, value)
		}}
	}, func(r *rig) {
		want := map[string]string{}
		var writers sync.WaitGroup
		for n := range 20 {
			for i := range 40 {
				want[fmt.Sprint(n, i)] = "v"
			}
			writers.Go(func() {
				for i := range 40 {
					r.set(fmt.Sprint(n, i), "v")
				}
			})
		}
		writers.Wait()
		require.Greater(t, most.Load(), int32(100))
		require.LessOrEqual(t, most.Load(), int32(300), "256 left behind, one for each writer, and the hand-back's")
		quick.Store(true)
		r.converges(want)
	})
}

func TestADetachedMemberThatHasNoPlaceLeftIsPassedOver(t *testing.T) {
	inRigOf(t, 2, unbreakable, deaf, func(r *rig) {
		r.faults[0].LieHealthy()
		r.faults[0].HangIgnoringContext()
		want := map[string]string{}
		for n := range 30 {
			key := fmt.Sprint(n)
			want[key] = "v"
			require.LessOrEqual(t, took(func() { r.set(key, "v") }), timeout+50*time.Millisecond)
			r.reads(key, "v")
		}
		r.faults[0].Up()
		r.converges(want)
	})
}

// Nobody can take a read's caller away from a store that ignores its ctx but
// Detach; the group's own checks see to it that the next callers are spared.
func TestAMemberThatIgnoresItsContextIsLeftOnceItsChecksFail(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].HangIgnoringContext()
		stuck := make(chan error, 1)
		go func() { _, err := r.kv.GetRaw(r.ctx, "k"); stuck <- err }()
		r.activates(1)
		require.Zero(t, took(func() { require.Equal(t, r.name(1), r.servedBy("k")) }))
		require.Zero(t, took(func() { r.set("k", "w") }))
		require.Empty(t, stuck)
		r.faults[0].Up()
		<-stuck
		r.converges(map[string]string{"k": "w"})
	})
}

func TestAWriteWhoseCallerHasLeftIsBroughtToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(r *rig)
		want   string
	}{
		"all refuse in the end":    {func(r *rig) { r.faults[0].FailWrites(nil); r.faults[1].FailWrites(nil) }, "1"},
		"one refuses in the end":   {func(r *rig) { r.faults[0].FailWrites(nil) }, "2"},
		"all fail in the end":      {func(r *rig) { r.faults[0].FailWrites(errors.New("torn")); r.faults[1].FailWrites(errors.New("torn")) }, "2"},
		"all lose their answers":   {func(r *rig) { r.faults[0].AckLost(1); r.faults[1].AckLost(1) }, "2"},
		"one loses its answer":     {func(r *rig) { r.faults[1].AckLost(1) }, "2"},
		"one hangs, the other not": {func(r *rig) { r.faults[0].Hang() }, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, unbreakable, func(r *rig) {
				r.set("k", "1")
				r.faults[0].Latency(300 * time.Millisecond)
				r.faults[1].Latency(300 * time.Millisecond)
				c.answer(r)
				ctx, cancel := context.WithCancel(r.ctx) // with a deadline, members would have shares of it
				time.AfterFunc(100*time.Millisecond, cancel)
				err := r.kv.SetRaw(ctx, "k", []byte("2"))
				require.ErrorIs(t, err, context.Canceled)
				require.ErrorIs(t, err, resilient.ErrAmbiguous)
				r.reads("k", c.want) // waits until it is decided
				time.Sleep(5 * time.Second)
				r.faults[0].Up()
				r.faults[1].Up()
				r.reads("k", c.want)
				r.converges(map[string]string{"k": c.want})
			})
		})
	}
}

func TestALostAnswerUndoesNothing(t *testing.T) {
	for name, members := range map[string][]int{"of the first": {0}, "of the second": {1}, "of both": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, unbreakable, func(r *rig) {
				want := map[string]string{}
				write := func(write func() error) {
					for _, i := range members {
						r.faults[i].AckLost(1)
					}
					if err := write(); len(members) == 2 {
						require.ErrorIs(t, err, resilient.ErrAmbiguous)
					} else {
						require.NoError(t, err)
					}
					for key, value := range want {
						r.reads(key, value)
					}
				}
				r.set("gone", "1")
				r.set("b1", "1")
				want["k"] = "1"
				write(func() error { return r.kv.SetRaw(r.ctx, "k", []byte("1")) })
				want["k"] = "2"
				write(func() error { return r.kv.SetRaw(r.ctx, "k", []byte("2")) })
				write(func() error { return r.kv.Delete(r.ctx, "gone") })
				_, err := r.kv.GetRaw(r.ctx, "gone")
				require.ErrorIs(t, err, resilient.ErrNotFound)
				want["b2"], want["b3"] = "1", "1"
				write(func() error { return r.kv.BatchSetRaw(r.ctx, map[string][]byte{"b2": []byte("1"), "b3": []byte("1")}) })
				delete(want, "b3")
				write(func() error { return r.kv.BatchDelete(r.ctx, []string{"b1", "b3"}) })
				keys, err := r.kv.List(r.ctx, "")
				require.NoError(t, err)
				require.Equal(t, []string{"b2", "k"}, keys)
				r.converges(want)
			})
		})
	}
}
