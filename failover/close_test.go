package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// keptOpen keeps the rig's stores open for a look after Close.
func keptOpen(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth { return resilient.KeepOpen(kv) }

// everyCall makes each call that a group has and returns the errors by name.
func everyCall(ctx context.Context, kv *failover.KV) map[string]error {
	errs := map[string]error{}
	_, errs["get"] = kv.GetRaw(ctx, "k")
	_, errs["list"] = kv.List(ctx, "")
	_, errs["batch get"] = kv.BatchGetRaw(ctx, []string{"k"})
	errs["set"] = kv.SetRaw(ctx, "k", []byte("v"))
	errs["delete"] = kv.Delete(ctx, "k")
	errs["batch set"] = kv.BatchSetRaw(ctx, map[string][]byte{"k": nil})
	errs["batch delete"] = kv.BatchDelete(ctx, []string{"k"})
	errs["health"] = kv.Health(ctx)
	errs["flush"] = kv.Flush(ctx)
	errs["failback"] = kv.Failback(ctx)
	member := kv.Status().Members[0].Name
	errs["drain"] = kv.Drain(member)
	errs["release"] = kv.Release(member)
	errs["rebuild"] = kv.Rebuild(ctx, member, nil)
	_, errs["discard"] = kv.Discard(member)
	return errs
}

// owe makes every later write owed to member i, which loses nothing but time
// by it: the group does not come to doubt it.
func (r *rig) owe(i int, keys ...string) {
	r.t.Helper()
	require.NoError(r.t, r.kv.Drain(r.name(i)))
	for _, key := range keys {
		r.set(key, "v")
	}
}

// lost returns what Lost events told, "member count".
func (r *rig) lost() (told []string) {
	for _, e := range r.events.Of(resilient.KindLost) {
		told = append(told, fmt.Sprint(e.Store, " ", e.Count))
	}
	return told
}

func TestCloseHandsBackFirst(t *testing.T) {
	inRigOf(t, 2, unbreakable, keptOpen, func(r *rig) {
		r.set("gone", "v")
		r.faults[0].FailWrites(nil)
		for n := range 20 {
			r.set(fmt.Sprint(n), "v")
		}
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		require.Equal(t, map[string]int{r.name(0): 21}, r.kv.Owed())
		r.faults[0].Up()
		require.NoError(t, r.kv.Close())
		for n := range 20 {
			r.holds(0, fmt.Sprint(n), "v")
		}
		r.lacks(0, "gone")
		require.Empty(t, r.lost())
	})
}

func TestCloseTellsOncePerMemberWhatIsLost(t *testing.T) {
	inRigOf(t, 4, nil, keptOpen, func(r *rig) {
		r.away(0)
		r.set("a-key", "a-value")
		r.set("b-key", "b-value")
		r.away(2)
		r.set("c-key", "c-value")
		err := r.kv.Close()
		require.ErrorIs(t, err, failover.ErrOwed)
		require.ErrorContains(t, err, "mem:3")
		require.ErrorContains(t, err, "mem-3:1")
		require.NotContains(t, err.Error(), "-key")
		require.NotContains(t, err.Error(), "-value")
		require.Equal(t, []string{"mem 3", "mem-3 1"}, r.lost())
		for _, e := range r.events.Of(resilient.KindLost) {
			require.Equal(t, "failover", e.Group)
			require.NotEmpty(t, e.Reason)
			require.ErrorIs(t, e.Err, failover.ErrOwed)
			require.False(t, e.Time.IsZero())
		}
		require.Equal(t, err, r.kv.Close(), "the same to every caller")
		require.Len(t, r.lost(), 2, "told once")
	})
}

func TestCloseHandsBackForNoLongerThanTheTimeout(t *testing.T) {
	for name, trouble := range map[string]func(r *rig){
		"the member hangs":                    func(r *rig) { r.faults[0].Hang(); r.set("k", "v") },
		"an earlier call may still take hold": func(r *rig) { r.faults[0].AckLost(1); r.set("k", "v") },
	} {
		t.Run(name, func(t *testing.T) {
			inRigOf(t, 2, unbreakable, keptOpen, func(r *rig) {
				trouble(r)
				require.LessOrEqual(t, took(func() { require.ErrorIs(t, r.kv.Close(), failover.ErrOwed) }), timeout+600*time.Millisecond)
				require.Equal(t, []string{"mem 1"}, r.lost())
			})
		})
	}
}

func TestCloseCountsAsLostWhatItCouldNotHandBackInTime(t *testing.T) {
	const keys = 1000
	l := &writeLog{}
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			kv = l.logged(kv, 10*time.Millisecond)
		}
		return resilient.KeepOpen(kv)
	}, func(r *rig) {
		r.faults[0].FailWrites(nil)
		kv := map[string][]byte{}
		for n := range keys {
			kv[fmt.Sprint(n)] = []byte("v")
		}
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, kv))
		require.NoError(t, r.kv.Drain(r.name(0)))
		r.faults[0].Up()
		require.NoError(t, r.kv.Release(r.name(0)))
		require.ErrorIs(t, r.kv.Close(), failover.ErrOwed)
		held, err := r.stores[0].List(r.ctx, "")
		require.NoError(t, err)
		require.Greater(t, len(held), 20, "it got what fits into a second")
		lost := r.events.Of(resilient.KindLost)
		require.Len(t, lost, 1)
		require.InDelta(t, keys-len(held), lost[0].Count, 8, "but for those under way at the end")
	})
}

func TestCloseWithADurableJournalLosesNothing(t *testing.T) {
	j := &durable{Journal: failover.MemoryJournal(0)}
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = j }, func(r *rig) {
		r.away(0)
		r.set("k", "v")
		require.Zero(t, took(func() { require.NoError(t, r.kv.Close()) }), "there is no hurry")
		require.NoError(t, r.kv.Close())
		require.Empty(t, r.lost())
		require.Equal(t, []bool{true}, j.ends(), "closed once, and cleanly")
	})
}

// durable is a Journal that says that it outlives the process.
type durable struct {
	failover.Journal
	mu    sync.Mutex // guards clean
	clean []bool     // what Close was told
}

func (j *durable) Durable() bool { return true }

func (j *durable) Close(clean bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.clean = append(j.clean, clean)
	return j.Journal.Close(clean)
}

func (j *durable) ends() []bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.clean
}

func TestS31_EveryCallAfterCloseIsErrClosed(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		require.NoError(t, r.kv.Close())
		calls := r.faults[0].Calls() + r.faults[1].Calls()
		require.Zero(t, took(func() {
			for name, err := range everyCall(r.ctx, r.kv) {
				require.ErrorIs(t, err, resilient.ErrClosed, name)
				require.NotErrorIs(t, err, resilient.ErrAmbiguous, name)
			}
		}))
		require.Equal(t, calls, r.faults[0].Calls()+r.faults[1].Calls())
	})
}

func TestCallsDuringCloseGetErrClosedAtOnce(t *testing.T) {
	for name, dress := range map[string]func(kv resilient.KVWithHealth) *hooked{
		"a member is slow to close": func(kv resilient.KVWithHealth) *hooked {
			return &hooked{KVWithHealth: kv, close: func() error { time.Sleep(10 * time.Second); return kv.Close() }}
		},
		"the last hand-back hangs": func(kv resilient.KVWithHealth) *hooked {
			return &hooked{KVWithHealth: kv, set: func(ctx context.Context, _ string, _ []byte) error { <-ctx.Done(); return ctx.Err() }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if i == 0 {
					return dress(kv)
				}
				return kv
			}, func(r *rig) {
				r.owe(0, "k")
				require.NoError(t, r.kv.Release(r.name(0)))
				closed := make(chan error, 1)
				go func() { closed <- r.kv.Close() }()
				time.Sleep(500 * time.Millisecond)
				require.Empty(t, closed, "it is under way")
				require.Zero(t, took(func() {
					for name, err := range everyCall(r.ctx, r.kv) {
						require.ErrorIs(t, err, resilient.ErrClosed, name)
					}
					_ = r.kv.Drain(r.name(1))
					_ = r.kv.Release(r.name(1))
					_ = r.kv.Status()
					_ = r.kv.Owed()
					_ = r.kv.Active()
				}))
				require.Equal(t, <-closed, r.kv.Close(), "the same to both callers")
			})
		})
	}
}

// Not in a bubble, which a second Close would freeze: it waits for a mutex.
func TestS31_EveryCallerOfCloseWaitsAndGetsTheSame(t *testing.T) {
	torn := errors.New("torn")
	entered, wake := make(chan struct{}), make(chan struct{})
	member := &hooked{KVWithHealth: openMem(t)}
	member.close = func() error {
		close(entered)
		<-wake
		return errors.Join(member.KVWithHealth.Close(), torn)
	}
	group := groupOf(t, failover.Config{Writes: failover.Mirror}, member)
	closed := make(chan error, 10)
	go func() { closed <- group.Close() }()
	<-entered
	for range cap(closed) - 1 {
		go func() { closed <- group.Close() }()
	}
	require.Empty(t, closed)
	close(wake)
	first := <-closed
	require.ErrorIs(t, first, torn)
	for range cap(closed) - 1 {
		require.Equal(t, first, <-closed)
	}
}

func TestCloseReportsWhatAMemberSaidToIt(t *testing.T) {
	torn := errors.New("torn")
	inRigOf(t, 3, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 1 {
			return &hooked{KVWithHealth: kv, close: func() error { return errors.Join(kv.Close(), torn) }}
		}
		return kv
	}, func(r *rig) {
		err := r.kv.Close()
		require.ErrorIs(t, err, torn)
		require.ErrorContains(t, err, r.name(1))
		require.Equal(t, err, r.kv.Close())
		for i := range 3 {
			require.ErrorIs(t, r.stores[i].Health(r.ctx), resilient.ErrClosed, "member %d", i)
		}
	})
}

func TestCloseEndsTheCallsUnderWay(t *testing.T) {
	inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Member.Timeout = -1 }), func(r *rig) {
		r.faults[0].Hang()
		r.faults[1].Hang()
		errs := make(chan map[string]error)
		go func() {
			var calls sync.WaitGroup
			var mu sync.Mutex // guards all
			all := map[string]error{}
			for name, call := range map[string]func() error{
				"get":       func() error { _, err := r.kv.GetRaw(r.ctx, "a"); return err },
				"list":      func() error { _, err := r.kv.List(r.ctx, ""); return err },
				"batch get": func() error { _, err := r.kv.BatchGetRaw(r.ctx, []string{"c"}); return err },
				"set":       func() error { return r.kv.SetRaw(r.ctx, "d", nil) },
				"batch set": func() error { return r.kv.BatchSetRaw(r.ctx, map[string][]byte{"e": nil}) },
			} {
				calls.Go(func() {
					err := call()
					mu.Lock()
					defer mu.Unlock()
					all[name] = err
				})
			}
			calls.Wait()
			errs <- all
		}()
		time.Sleep(time.Second)
		d := took(func() {
			_ = r.kv.Close() // may say that something was owed
			for name, err := range <-errs {
				require.ErrorIs(t, err, resilient.ErrUnavailable, name)
			}
		})
		require.LessOrEqual(t, d, 5*time.Second)
	})
}

func TestAWriteThatWaitsForItsKeyIsRefusedByClose(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		r.faults[1].Latency(500 * time.Millisecond)
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- r.kv.SetRaw(r.ctx, "k", []byte("1")) }()
		time.Sleep(10 * time.Millisecond)
		go func() { second <- r.kv.SetRaw(r.ctx, "k", []byte("2")) }()
		time.Sleep(10 * time.Millisecond)
		_ = r.kv.Close()
		require.NoError(t, <-first, "it had been sent")
		err := <-second
		require.ErrorIs(t, err, resilient.ErrClosed)
		require.ErrorIs(t, err, resilient.ErrRefused, "it had not")
	})
}

// A store that minds neither its ctx nor its Close keeps nobody: what it holds
// is left behind.
func TestCloseLeavesBehindAMemberThatMindsNothing(t *testing.T) {
	for _, durably := range []bool{false, true} {
		t.Run(fmt.Sprint("durable journal: ", durably), func(t *testing.T) {
			var wake chan struct{} // of the bubble
			j := &durable{Journal: failover.MemoryJournal(0)}
			inRigOf(t, 2, func(cfg *failover.Config) {
				if durably {
					cfg.Journal = j
				}
			}, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if i != 0 {
					return kv
				}
				wake = make(chan struct{})
				return &hooked{KVWithHealth: kv, set: func(context.Context, string, []byte) error { <-wake; return nil }}
			}, func(r *rig) {
				r.set("k", "v")
				require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
				var err error
				d := took(func() { err = r.kv.Close() })
				require.LessOrEqual(t, d, 10*time.Second)
				if durably {
					require.NoError(t, err)
					require.Equal(t, []bool{false}, j.ends(), "a call was cut short")
				} else {
					require.ErrorIs(t, err, failover.ErrOwed)
					require.Equal(t, []string{"mem 1"}, r.lost())
				}
				close(wake)
				synctest.Wait()
			})
		})
	}
}

func TestCloseWaitsForAMemberThatIsSlowToClose(t *testing.T) {
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, close: func() error { time.Sleep(30 * time.Second); return kv.Close() }}
	}, func(r *rig) {
		require.Equal(t, 30*time.Second, took(func() { require.NoError(t, r.kv.Close()) }))
		require.ErrorIs(t, r.stores[1].Health(r.ctx), resilient.ErrClosed)
	})
}

func TestNothingIsToldAfterClose(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.away(0)
		r.back(0)
		require.Equal(t, r.name(1), r.kv.Active(), "it is wanted again in 5 s")
		require.NoError(t, r.kv.Close())
		told := len(r.events.Events())
		time.Sleep(time.Hour)
		require.Equal(t, told, len(r.events.Events()))
	})
}

// After Close nothing of the group is left, in whatever state it was.
func TestS31_CloseLeavesNoGoroutine(t *testing.T) {
	for name, trouble := range map[string]func(r *rig){
		"all is well":        func(r *rig) { r.set("k", "v") },
		"a member is away":   func(r *rig) { r.away(0); r.set("k", "v") },
		"a member is held":   func(r *rig) { r.away(0); r.back(0) },
		"a member is hung":   func(r *rig) { r.faults[0].Hang(); r.set("k", "v") },
		"an answer was lost": func(r *rig) { r.faults[0].AckLost(1); r.set("k", "v") },
		"all are away":       func(r *rig) { r.away(0); r.away(1) },
		"all are drained":    func(r *rig) { _ = r.kv.Drain(r.name(0)); _ = r.kv.Drain(r.name(1)) },
		"a caller has left": func(r *rig) {
			r.faults[0].Hang()
			r.faults[1].Hang()
			ctx, cancel := context.WithTimeout(r.ctx, time.Millisecond)
			defer cancel()
			_ = r.kv.SetRaw(ctx, "k", nil)
		},
		"a straggler is owed": func(r *rig) { r.faults[1].Latency(900 * time.Millisecond); r.set("k", "v") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := goleak.IgnoreCurrent()
				r := newRig(t, 2, nil, nil)
				trouble(r)
				_ = r.kv.Close()
				require.NoError(t, goleak.Find(before))
			})
		})
	}
}
