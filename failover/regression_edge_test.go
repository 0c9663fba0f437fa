package failover_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// nested makes each member of a rig a group of its own.
func nested(t *testing.T, groups *[]*failover.KV) func(int, resilient.KVWithHealth) resilient.KVWithHealth {
	return func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		g, err := failover.New(failover.Config{Name: fmt.Sprint("inner-", i)}, kv)
		require.NoError(t, err)
		if groups != nil {
			*groups = append(*groups, g)
		}
		return g
	}
}

// The members of a group are called side by side, and may be called after the
// caller has gone. (The race detector sees it.)
func TestRegression_TheMembersOfAGroupOfGroupsWriteTheCallersReceipt(t *testing.T) {
	inRigOf(t, 2, nil, nested(t, nil), func(r *rig) {
		var receipt resilient.Receipt
		ctx := resilient.WithReceipt(r.ctx, &receipt)
		require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v")))
		require.Equal(t, "failover", receipt.Store)
		r.faults[1].Latency(100 * time.Millisecond) // more than Straggle
		require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("w")))
		require.Equal(t, resilient.Receipt{Store: "failover", Owed: 1}, receipt)
		receipt.Store = "mine"
		time.Sleep(time.Second)
		require.Equal(t, "mine", receipt.Store, "the call has returned long ago")
	})
}

func TestRegression_AWriteThatPrimaryOnlyHasNoPlaceForSaysReadOnly(t *testing.T) {
	inRig(t, 2, both(primaryOnly, func(cfg *failover.Config) { cfg.Member.MaxInFlight = 1 }), func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		slow := make(chan struct{})
		go func() {
			defer close(slow)
			r.set("k", "v")
		}()
		time.Sleep(100 * time.Millisecond)
		err := r.kv.SetRaw(r.ctx, "other", nil)
		require.ErrorIs(t, err, resilient.ErrBusy)
		require.NotErrorIs(t, err, failover.ErrReadOnly, "the first member is there")
		<-slow
	})
}

// fills takes the first member's one place in flight, by a read that is slow; it
// returns what is closed at its end.
func (r *rig) fills(key, want string) (ended <-chan struct{}) {
	r.faults[0].Latency(500 * time.Millisecond)
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		r.reads(key, want)
	}()
	time.Sleep(100 * time.Millisecond)
	return slow
}

func TestRegression_ALoadSpikeInHandoffIsAFailover(t *testing.T) {
	inRig(t, 2, both(handoff, func(cfg *failover.Config) { cfg.Member.MaxInFlight = 1 }), func(r *rig) {
		r.set("k", "v")
		slow := r.fills("k", "v")
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("w")), resilient.ErrBusy)
		require.Empty(t, r.kv.Owed())
		<-slow
		r.lacks(1, "k")
		r.reads("k", "v")
	})
}

func TestRegression_ALoadSpikeSendsReadsToMembersThatMayLackTheKey(t *testing.T) {
	for name, second := range map[string]func(*failover.Config){"complete": mirror, "incomplete": handoff} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(second, func(cfg *failover.Config) { cfg.Member.MaxInFlight = 1 }), func(r *rig) {
				r.set("k", "v")
				slow := r.fills("k", "v")
				calls := r.faults[1].Calls()
				_, one := r.kv.GetRaw(r.ctx, "k")
				_, several := r.kv.BatchGetRaw(r.ctx, []string{"k"})
				_, all := r.kv.List(r.ctx, "")
				for _, err := range []error{one, several, all} {
					if name == "complete" {
						require.NoError(t, err)
						continue
					}
					require.ErrorIs(t, err, resilient.ErrBusy)
					require.NotErrorIs(t, err, failover.ErrUncertain)
					require.Equal(t, calls, r.faults[1].Calls())
				}
				<-slow
			})
		})
	}
}

func TestRegression_ACallWhoseCtxHadEndedIsToldAsAnAmbiguousFailure(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"handoff": handoff, "primary only": primaryOnly} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, mode, func(r *rig) {
				ended, cancel := context.WithCancel(r.ctx)
				cancel()
				r.events.Reset()
				require.Equal(t, context.Canceled, r.kv.SetRaw(ended, "k", nil))
				done := r.events.Of(resilient.KindDone)
				require.Len(t, done, 1)
				require.Equal(t, resilient.Canceled, done[0].Class)
				require.False(t, done[0].Ambiguous)
			})
		})
	}
}

func TestRegression_FlushOutlastsClose(t *testing.T) {
	inRigOf(t, 2, unbreakable, keptOpen, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "v") // ambiguous there: its hand-back has to wait
		r.faults[0].FailWrites(nil)
		ended := make(chan error, 1)
		go func() { ended <- r.kv.Flush(context.Background()) }()
		time.Sleep(100 * time.Millisecond)
		require.ErrorIs(t, r.kv.Close(), failover.ErrOwed)
		select {
		case err := <-ended:
			require.Error(t, err)
		case <-time.After(time.Hour):
			require.Fail(t, "it hangs")
		}
	})
}

func TestRegression_AProgressOfRebuildIsToldOnSeveralGoroutinesAtOnce(t *testing.T) {
	inRig(t, 2, both(unbreakable, incompleteMirror), func(r *rig) {
		for n := range 1000 {
			require.NoError(t, r.stores[0].SetRaw(r.ctx, fmt.Sprint(n), []byte("v")))
		}
		var told []int
		require.NoError(t, r.kv.Rebuild(r.ctx, r.name(1), func(done int) {
			told = append(told, done)
			runtime.Gosched()
		}))
		require.IsIncreasing(t, told)
	})
}

type toy map[string][]byte

func (toy) GetRaw(context.Context, string) ([]byte, error) { return nil, resilient.ErrNotFound }
func (toy) SetRaw(context.Context, string, []byte) error   { return nil }
func (toy) Delete(context.Context, string) error           { return nil }
func (toy) List(context.Context, string) ([]string, error) { return []string{}, nil }
func (toy) Health(context.Context) error                   { return nil }
func (toy) Close() error                                   { return nil }

type dressed struct{ resilient.KVWithHealth }

func TestRegression_AStoreThatCannotBeComparedPanicsInNew(t *testing.T) {
	kv, err := failover.New(failover.Config{}, dressed{toy{}}, dressed{toy{}})
	require.NoError(t, err)
	require.NoError(t, kv.Close())
	c, err := failover.WithCache(dressed{toy{}}, dressed{toy{}}, failover.CacheConfig{})
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestRegression_AMemberThatIsDistrustedWhileItIsAskedSaysNotFound(t *testing.T) {
	for name, call := range map[string]func(context.Context, *rig) error{
		"list":  func(ctx context.Context, r *rig) error { _, err := r.kv.List(ctx, ""); return err },
		"batch": func(ctx context.Context, r *rig) error { _, err := r.kv.BatchGetRaw(ctx, []string{"none"}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, unbreakable, func(r *rig) {
				r.faults[1].FailWrites(nil)
				r.set("k", "w")
				r.faults[0].FailReads(nil)
				calls := r.faults[0].Calls()
				err := call(meddling{r.ctx, func() {
					if r.faults[0].Calls() > calls { // it is the second one's turn
						_, _ = r.kv.Discard(r.name(1))
					}
				}}, r)
				require.NotErrorIs(t, err, resilient.ErrNotFound, "neither of these calls has such an answer")
			})
		})
	}
}

// meddling is a ctx of the user's own that does something when it is asked for
// its deadline.
type meddling struct {
	context.Context
	do func()
}

func (m meddling) Deadline() (time.Time, bool) {
	m.do()
	return time.Now().Add(time.Hour), true
}

func TestRegression_ABatchThatACachesStoreTookInPartMatchesRefused(t *testing.T) {
	n := 0
	kv := &hooked{KVWithHealth: plain{openMem(t)}, set: func(context.Context, string, []byte) error {
		if n++; n > 1 {
			return resilient.ErrRefused
		}
		return nil
	}}
	c := withCache(t, kv, openMem(t), failover.CacheConfig{})
	err := c.BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": nil})
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.NotErrorIs(t, err, resilient.ErrRefused)
}

func TestRegression_ATimeoutForEverIsNoTimeAtAllInAGroup(t *testing.T) {
	inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Member.Timeout = math.MaxInt64 }), func(r *rig) {
		r.faults[0].Latency(100 * time.Millisecond)
		r.faults[1].Latency(100 * time.Millisecond)
		r.set("k", "v")
		require.Empty(t, r.kv.Owed())
		require.NoError(t, r.kv.Drain(r.name(1)))
		r.set("k", "w")
		require.NoError(t, r.kv.Release(r.name(1)))
		r.rest()
		require.Equal(t, r.name(0), r.kv.Active())
	})
}

func TestRegression_CloseAndACloseByWhoIsToldOfAChangeWaitForEachOther(t *testing.T) {
	var r *rig
	var armed chan struct{}
	inRigOf(t, 2, func(cfg *failover.Config) {
		armed = make(chan struct{})
		cfg.Member.Breaker.OnChange = func(c breaker.Change) {
			if c.To == breaker.Open {
				<-armed
				_ = r.kv.Close()
			}
		}
	}, keptOpen, func(rr *rig) {
		r = rr
		r.faults[0].Down()
		time.Sleep(10 * time.Second)
		closed := make(chan struct{})
		go func() { defer close(closed); _ = r.kv.Close() }()
		time.Sleep(time.Second)
		close(armed)
		select {
		case <-closed:
		case <-time.After(time.Hour):
			require.Fail(t, "both hang")
		}
	})
}

func TestRegression_AConflictInPrimaryOnlySaysReadOnly(t *testing.T) {
	conflict := fmt.Errorf("rolled back")
	inRig(t, 2, both(primaryOnly, func(cfg *failover.Config) {
		cfg.Member.Classify = func(err error) resilient.Class {
			if errors.Is(err, conflict) {
				return resilient.Conflict
			}
			return resilient.OK
		}
	}), func(r *rig) {
		r.faults[0].FailWrites(conflict)
		err := r.kv.SetRaw(r.ctx, "k", nil)
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, failover.ErrReadOnly, "the first member is there")
	})
}

// around guards kv with a Store of its own, which the test closes.
func around(t *testing.T, kv resilient.KVWithHealth) *resilient.Store {
	s, err := resilient.Wrap(resilient.KeepOpen(kv), resilient.Config{Name: "outer"})
	require.NoError(t, err)
	return s
}

func TestRegression_AStoreAroundACacheHidesThatAnAnswerIsStale(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		outer := around(t, r.kv)
		defer func() { require.NoError(t, outer.Close()) }()
		var receipt resilient.Receipt
		ctx := resilient.WithReceipt(r.ctx, &receipt)
		require.NoError(t, outer.SetRaw(ctx, "k", []byte("v")))
		require.Equal(t, resilient.Receipt{Store: "primary"}, receipt)
		time.Sleep(time.Second)
		r.store.Down()
		_, err := outer.GetRaw(ctx, "k")
		require.NoError(t, err)
		require.True(t, receipt.Stale)
		require.Equal(t, time.Second, receipt.Age)
		require.Error(t, outer.SetRaw(ctx, "k", nil))
		require.Zero(t, receipt, "nobody took it")
	})
}

func TestRegression_AStoreAroundAGroupHidesWhatIsOwed(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		outer := around(t, r.kv)
		defer func() { require.NoError(t, outer.Close()) }()
		var receipt resilient.Receipt
		ctx := resilient.WithReceipt(r.ctx, &receipt)
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.NoError(t, outer.SetRaw(ctx, "k", []byte("v")))
		require.Equal(t, resilient.Receipt{Store: r.name(1), Owed: 1, Degraded: true}, receipt)
		require.NoError(t, r.kv.Release(r.name(0)))
		require.NoError(t, r.kv.Flush(r.ctx))
	})
}

// Five seconds, doubled thirty-one times, are more than a Duration holds.
func TestRegression_AMemberThatRelapsesOftenIsNotHeldBackAtAll(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{MaxAfter: math.MaxInt64}), func(r *rig) {
		for range 33 {
			r.away(0)
			r.back(0)
			time.Sleep(4 * time.Second)
			require.Equal(t, r.name(1), r.kv.Active())
		}
	})
}

func TestRegression_AMemberIsHeldBackForLongerThanMaxAfter(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{MaxAfter: time.Second}), func(r *rig) {
		for range 2 {
			r.away(0)
			r.back(0)
			r.activates(0)
			require.Equal(t, time.Second, r.held(0))
		}
	})
}
