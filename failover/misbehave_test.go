package failover_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// converges wants that the members have what was written, once they are well.
func (r *rig) converges(want map[string]string) {
	r.t.Helper()
	r.rest()
	for i := range r.stores {
		keys, err := r.stores[i].List(r.ctx, "")
		require.NoError(r.t, err)
		require.Equal(r.t, slices.Sorted(maps.Keys(want)), keys, "member %d", i)
		for key, value := range want {
			r.holds(i, key, value)
		}
	}
}

func TestAPanicOfAMemberIsAFailedCall(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.set("k", "v")
		r.set("gone", "v")
		r.faults[0].PanicNext(7)
		require.Equal(t, r.name(1), r.servedBy("k"))
		_, err := r.kv.List(r.ctx, "")
		require.NoError(t, err)
		_, err = r.kv.BatchGetRaw(r.ctx, []string{"k"})
		require.NoError(t, err)
		r.set("k", "w")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed(), "who knows what it did")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"b": []byte("w")}))
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"c"}))
		r.converges(map[string]string{"k": "w", "b": "w"})

		r.faults[0].PanicNext(1)
		r.faults[1].PanicNext(1)
		_, err = r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		r.faults[0].PanicNext(1)
		r.faults[1].PanicNext(1)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("x")), resilient.ErrAmbiguous)
		r.converges(map[string]string{"k": "x", "b": "w"})
	})
}

func TestAPanicDuringHandBackIsTriedAgain(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.owe(0, "a", "b", "c", "d", "e", "f")
		r.faults[0].PanicNext(3)
		require.NoError(t, r.kv.Release(r.name(0)))
		r.converges(map[string]string{"a": "v", "b": "v", "c": "v", "d": "v", "e": "v", "f": "v"})
	})
}

func TestAGoexitDuringHandBackIsTriedAgain(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.owe(0, "a", "b", "c", "d", "e", "f")
		r.faults[0].GoexitNext(6)
		require.NoError(t, r.kv.Release(r.name(0)))
		r.converges(map[string]string{"a": "v", "b": "v", "c": "v", "d": "v", "e": "v", "f": "v"})
	})
}

func TestAPanicOfHealthIsAFailedCheck(t *testing.T) {
	var sick atomic.Bool
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, health: func(ctx context.Context) error {
			if sick.Load() {
				panic("sick")
			}
			return kv.Health(ctx)
		}}
	}, func(r *rig) {
		r.set("k", "v")
		sick.Store(true)
		r.until("the member is open", func() bool { return r.state(0) == "open" })
		require.Equal(t, r.name(1), r.servedBy("k"))
		sick.Store(false)
		r.activates(0)
	})
}

// A store that ends the goroutine of a write ends none of the group's and none
// of its callers'.
func TestAGoexitOfAMemberIsAFailedWrite(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.set("gone", "v")
		r.faults[0].GoexitNext(4)
		r.set("k", "v")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"b": []byte("w")}))
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"c"}))
		r.faults[0].GoexitNext(1)
		r.faults[1].GoexitNext(1)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "x", []byte("x")), resilient.ErrAmbiguous)
		r.converges(map[string]string{"k": "v", "b": "w", "x": "x"})
	})
}

// A read runs on its caller's goroutine, which the store ends with it; Detach
// is for such stores.
func TestAGoexitOfAMemberDuringAReadHoldsNothing(t *testing.T) {
	for _, detached := range []bool{false, true} {
		t.Run(fmt.Sprint("detached: ", detached), func(t *testing.T) {
			inRigOf(t, 2, unbreakable, func(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if detached {
					return resilient.Detach(kv, 0)
				}
				return kv
			}, func(r *rig) {
				r.set("k", "v")
				r.faults[0].GoexitNext(1)
				ended, returned := make(chan struct{}), false
				go func() {
					defer close(ended)
					r.reads("k", "v")
					returned = true
				}()
				<-ended
				require.Equal(t, detached, returned)
				require.Equal(t, r.name(0), r.servedBy("k"))
				r.set("k", "w")
				r.converges(map[string]string{"k": "w"})
				require.Zero(t, r.kv.Status().InFlight)
			})
		})
	}
}

// silent is a store that answers nil with nil to whatever it is asked.
type silent struct{ *hooked }

func (s silent) BatchGetRaw(context.Context, []string) (map[string][]byte, error) { return nil, nil }
func (s silent) BatchSetRaw(context.Context, map[string][]byte) error             { return nil }
func (s silent) BatchDelete(context.Context, []string) error                      { return nil }

func TestNilAnswersAreMadeEmptyOnes(t *testing.T) {
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return silent{&hooked{
			KVWithHealth: kv,
			get:          func(context.Context, string) ([]byte, error) { return nil, nil },
			list:         func(context.Context, string) ([]string, error) { return nil, nil },
		}}
	}, func(r *rig) {
		for _, owing := range []bool{false, true} {
			if owing {
				r.faults[1].AckLost(1)
				r.set("owed", "v")
			}
			got, err := r.kv.GetRaw(r.ctx, "k")
			require.NoError(t, err)
			require.NotNil(t, got)
			require.Empty(t, got)
			keys, err := r.kv.List(r.ctx, "k")
			require.NoError(t, err)
			require.NotNil(t, keys)
			require.Empty(t, keys)
			values, err := r.kv.BatchGetRaw(r.ctx, []string{"k", "owed"})
			require.NoError(t, err)
			require.NotNil(t, values)
			require.Len(t, values, map[bool]int{false: 0, true: 1}[owing])
		}
	})
}

func TestANilValueIsAnEmptyOneWhereverItIsReadFrom(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		read := func(from string) {
			got, err := r.kv.GetRaw(r.ctx, "k")
			require.NoError(t, err)
			require.NotNil(t, got, from)
			require.Empty(t, got, from)
			values, err := r.kv.BatchGetRaw(r.ctx, []string{"k"})
			require.NoError(t, err)
			require.NotNil(t, values["k"], from)
		}
		require.NoError(t, r.kv.SetRaw(r.ctx, "k", nil))
		read("a member")
		r.away(0)
		require.NoError(t, r.kv.SetRaw(r.ctx, "k", nil))
		read("the overlay")
		r.faults[0].Up()
		r.rest()
		r.activates(0)
		read("the member it was handed back to")
	})
}

// deaf is a member that ignores its ctx and leaves its callers to Detach.
func deaf(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth { return resilient.Detach(kv, 8) }

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

func TestWithANegativeStraggleAWriteWaitsForNobodyButTheActiveMember(t *testing.T) {
	inRig(t, 3, func(cfg *failover.Config) { cfg.Straggle = -1 }, func(r *rig) {
		r.faults[0].Latency(100 * time.Millisecond)
		r.faults[1].Latency(200 * time.Millisecond)
		r.faults[2].Latency(500 * time.Millisecond)
		require.Equal(t, 100*time.Millisecond, took(func() { r.set("k", "v") }))
		require.Equal(t, map[string]int{r.name(1): 1, r.name(2): 1}, r.kv.Owed())
		time.Sleep(100*time.Millisecond + time.Millisecond)
		require.Equal(t, map[string]int{r.name(2): 1}, r.kv.Owed(), "one has answered since")
		time.Sleep(300 * time.Millisecond)
		require.Empty(t, r.kv.Owed())
		for i := range r.faults {
			r.faults[i].Up()
		}
		want := map[string]string{"k": "v"}
		for n := range 50 {
			want[fmt.Sprint(n%7)] = fmt.Sprint(n)
			r.set(fmt.Sprint(n%7), fmt.Sprint(n))
		}
		r.converges(want)
	})
}

func TestABatchThatOneMemberAppliesByHalfIsOwedToItWhole(t *testing.T) {
	const stops = "c" // the third key of the batch, where it stops
	for name, c := range map[string]struct {
		members []int
		err     error
	}{"one member": {[]int{0}, nil}, "both members": {[]int{0, 1}, resilient.ErrAmbiguous}} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if !slices.Contains(c.members, i) {
					return kv
				}
				return &hooked{ // without batches of its own: they are written key by key
					KVWithHealth: kv,
					set: func(ctx context.Context, key string, value []byte) error {
						if broken.Load() && key == stops {
							return resilient.ErrRefused
						}
						return kv.SetRaw(ctx, key, value)
					},
					del: func(ctx context.Context, key string) error {
						if broken.Load() && key == stops {
							return resilient.ErrRefused
						}
						return kv.Delete(ctx, key)
					},
				}
			}, func(r *rig) {
				broken.Store(true)
				batch := map[string][]byte{}
				want := map[string]string{}
				for _, key := range []string{"a", "b", "c", "d"} {
					batch[key], want[key] = []byte("v"), "v"
				}
				require.ErrorIs(t, r.kv.BatchSetRaw(r.ctx, batch), c.err)
				r.holds(0, "a", "v")
				r.lacks(0, "d")
				for _, i := range c.members {
					require.Equal(t, 4, r.kv.Owed()[r.name(i)], "as a whole")
				}
				values, err := r.kv.BatchGetRaw(r.ctx, []string{"a", "b", "c", "d"})
				require.NoError(t, err)
				require.Equal(t, batch, values, "it counts as written")
				broken.Store(false)
				r.converges(want)

				broken.Store(true)
				require.ErrorIs(t, r.kv.BatchDelete(r.ctx, []string{"d", "c", "b"}), c.err)
				keys, err := r.kv.List(r.ctx, "")
				require.NoError(t, err)
				require.Equal(t, []string{"a"}, keys)
				broken.Store(false)
				r.converges(map[string]string{"a": "v"})
			})
		})
	}
}

func TestABatchRefusedAtItsFirstKeyByAllIsRefused(t *testing.T) {
	inRigOf(t, 2, unbreakable, func(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			if key == "a" {
				return resilient.ErrRefused
			}
			return kv.SetRaw(ctx, key, value)
		}}
	}, func(r *rig) {
		err := r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "b": nil})
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		require.Empty(t, r.kv.Owed())
		r.lacks(0, "b")
	})
}

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
	second := kv.Status().Members[1].Name
	_ = kv.Drain(second)
	_ = kv.Release(second)
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

func TestManyCallersOfAMisbehavingGroupAllReturn(t *testing.T) {
	inRigOf(t, 3, nil, deaf, func(r *rig) {
		var calls sync.WaitGroup
		for n := range 8 {
			calls.Go(func() {
				for i := range 100 {
					key := fmt.Sprint((n + i) % 5)
					_ = r.kv.SetRaw(r.ctx, key, []byte(fmt.Sprint(n, i)))
					_, _ = r.kv.GetRaw(r.ctx, key)
					_ = r.kv.Delete(r.ctx, key)
					_, _ = r.kv.BatchGetRaw(r.ctx, []string{key, "x"})
					time.Sleep(10 * time.Millisecond)
					runtime.Gosched()
				}
			})
		}
		calls.Go(func() {
			for i := range 40 {
				f := r.faults[i%3]
				switch i % 5 {
				case 0:
					f.PanicNext(3)
				case 1:
					f.HangIgnoringContext()
				case 2:
					f.AckLost(3)
				case 3:
					f.Down()
				case 4:
					f.FailWrites(errors.New("torn"))
				}
				time.Sleep(300 * time.Millisecond)
				f.Up()
			}
		})
		calls.Wait()
		for i := range r.faults {
			r.faults[i].Up()
		}
		for n := range 5 {
			r.set(fmt.Sprint(n), "last")
		}
		r.converges(map[string]string{"0": "last", "1": "last", "2": "last", "3": "last", "4": "last"})
	})
}
