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
			inRigOf(t, 2, unbreakable, detachedIf(detached), func(r *rig) {
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

func (s silent) BatchSetRaw(context.Context, map[string][]byte) error { return nil }

func (s silent) BatchDelete(context.Context, []string) error { return nil }

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
