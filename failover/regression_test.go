package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// Members lists what each member said, most wanted first, whoever answered
// first; and so does the error of a write.
func TestRegression_AWritesErrorListsTheMembersInTheOrderOfTheirAnswers(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		for i, latency := range []time.Duration{30, 20, 10} {
			r.faults[i].FailWrites(nil)
			r.faults[i].Latency(latency * time.Millisecond)
		}
		for name, err := range map[string]error{
			"set":    r.kv.SetRaw(r.ctx, "k", nil),
			"delete": r.kv.Delete(r.ctx, "k"),
			"batch":  r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": nil}),
		} {
			var e *failover.Error
			require.ErrorAs(t, err, &e)
			var order []string
			for _, m := range e.Members {
				order = append(order, m.Store)
			}
			require.Equal(t, []string{"mem", "mem-2", "mem-3"}, order, name)
		}
	})
}

// A drained member gets no write until Release, also not by Flush.
func TestRegression_FlushWritesToADrainedMember(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.owe(0, "k")
		sent := r.faults[0].Calls()
		ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		require.ErrorContains(t, r.kv.Flush(ctx), r.name(0))
		require.Equal(t, sent, r.faults[0].Calls())
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
	})
}

func TestRegression_AHandBackThatIsUnderWayGoesOnAfterDrain(t *testing.T) {
	inLoggedRig(t, 2, 50*time.Millisecond, nil, func(r *rig, l *writeLog) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		for n := range 200 {
			r.set(fmt.Sprint(n), "v")
		}
		require.NoError(t, r.kv.Release(r.name(0)))
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, r.kv.Drain(r.name(0)))
		time.Sleep(100 * time.Millisecond) // what was under way
		sent := len(l.all())
		time.Sleep(time.Minute)
		require.Equal(t, sent, len(l.all()))
	})
}

// A write that is under way when Close begins is acknowledged, and is owed to
// the member that hangs: Close must not call that nothing.
func TestRegression_CloseLosesSilentlyWhatWasBeingWritten(t *testing.T) {
	inRigOf(t, 2, unbreakable, keptOpen, func(r *rig) {
		r.faults[0].Hang()
		written := make(chan error, 1)
		go func() { written <- r.kv.SetRaw(r.ctx, "k", []byte("v")) }()
		time.Sleep(100 * time.Millisecond)
		closed := r.kv.Close()
		require.NoError(t, <-written)
		r.holds(1, "k", "v")
		if _, err := r.stores[0].GetRaw(r.ctx, "k"); errors.Is(err, resilient.ErrNotFound) {
			require.ErrorIs(t, closed, failover.ErrOwed)
			require.Equal(t, []string{"mem 1"}, r.lost())
		}
	})
}

// One hung member must not use up the time in which another, which is well,
// could be given what it is owed. Who gets a key's lock first is chance: one of
// many runs shows it.
func TestRegression_AHungMemberTakesTheLastHandBackFromAHealthyOne(t *testing.T) {
	for n := range 30 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inRigOf(t, 3, unbreakable, keptOpen, func(r *rig) {
				r.owe(0, "a", "b")
				r.owe(1, "a", "b")
				r.faults[0].Hang()
				require.NoError(t, r.kv.Release(r.name(0)))
				require.NoError(t, r.kv.Release(r.name(1)))
				require.ErrorIs(t, r.kv.Close(), failover.ErrOwed)
				require.Equal(t, []string{"mem 2"}, r.lost())
				r.holds(1, "a", "v")
			})
		})
	}
}

func TestRegression_AHungMemberKeepsFlushFromAHealthyOne(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.faults[1].FailWrites(nil)
		r.set("k", "v")
		synctest.Wait() // the group's own hand-back comes again only after a while
		r.faults[1].Up()
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, timeout/10)
		defer cancel()
		require.ErrorContains(t, r.kv.Flush(ctx), r.name(0))
		r.holds(1, "k", "v")
	})
}

// deafRig is a rig whose first member is owed k and minds no ctx from now on:
// its sets return ten minutes after they began.
func deafRig(t *testing.T, test func(r *rig)) {
	var deaf atomic.Bool
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			if !deaf.Load() {
				return resilient.ErrRefused
			}
			time.Sleep(10 * time.Minute)
			return kv.SetRaw(ctx, key, value)
		}}
	}, func(r *rig) {
		defer func() {
			_ = r.kv.Close()
			time.Sleep(time.Hour) // until all of its calls have returned
		}()
		r.set("k", "v")
		synctest.Wait() // the group's own hand-back comes again only after a while
		deaf.Store(true)
		test(r)
	})
}

// Writes go on without a store that ignores its ctx; hand-backs must not wait
// for one under the key's lock either.
func TestRegression_AHandBackToAStoreThatIgnoresItsContextHoldsTheKey(t *testing.T) {
	deafRig(t, func(r *rig) {
		time.Sleep(time.Minute)
		require.LessOrEqual(t, took(func() { r.set("k", "w") }), timeout+50*time.Millisecond)
	})
}

func TestRegression_FlushOutlastsItsContextWhenAStoreIgnoresIt(t *testing.T) {
	deafRig(t, func(r *rig) {
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.LessOrEqual(t, took(func() { require.ErrorIs(t, r.kv.Flush(ctx), context.DeadlineExceeded) }), time.Second+500*time.Millisecond)
	})
}

func TestRegression_CloseHangsWhenAStoreIgnoresItsContextInTheLastHandBack(t *testing.T) {
	deafRig(t, func(r *rig) {
		require.LessOrEqual(t, took(func() { require.ErrorIs(t, r.kv.Close(), failover.ErrOwed) }), 10*time.Second)
	})
}

// What a Store contains of its own store's Close, a group must of a bare
// member's: the other members and the journal are closed whatever one does.
func TestRegression_AMemberThatPanicsInCloseKeepsTheOthersOpen(t *testing.T) {
	j := &durable{Journal: failover.MemoryJournal(0)}
	others := []resilient.KVWithHealth{openMem(t), openMem(t)}
	torn := &hooked{KVWithHealth: openMem(t), close: func() error { panic("torn") }}
	group := groupOf(t, failover.Config{Writes: failover.Mirror, Journal: j}, torn, others[0], others[1])
	var err error
	require.NotPanics(t, func() { err = group.Close() })
	require.ErrorContains(t, err, "mem")
	require.Equal(t, err, group.Close())
	for i, kv := range others {
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrClosed, "member %d", i+1)
	}
	require.Len(t, j.ends(), 1)
}

func TestRegression_AClosedGroupSaysThatItIsUp(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		require.NoError(t, r.kv.Close())
		require.Equal(t, resilient.Down, r.kv.Status().Condition)
	})
}

// Every call of the outermost layer has exactly one Done event and one
// Receipt, those that it refuses by itself too, as a Store does.
func TestRegression_ACallThatTheGroupItselfRefusesHasNoDoneEventAndAnOldReceipt(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for name, call := range map[string]func(ctx context.Context, r *rig) error{
		"an empty key":   func(ctx context.Context, r *rig) error { _, err := r.kv.GetRaw(ctx, ""); return err },
		"an invalid key": func(ctx context.Context, r *rig) error { return r.kv.SetRaw(ctx, "\x00", nil) },
		"a batch":        func(ctx context.Context, r *rig) error { return r.kv.BatchDelete(ctx, []string{"k", ""}) },
		"an ended ctx": func(ctx context.Context, r *rig) error {
			return r.kv.SetRaw(resilient.WithReceipt(ended, resilient.ReceiptFrom(ctx)), "k", nil)
		},
		"a closed group": func(ctx context.Context, r *rig) error { _ = r.kv.Close(); _, err := r.kv.List(ctx, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, nil, func(r *rig) {
				receipt := resilient.Receipt{Store: "mem", Owed: 1} // of an earlier call
				r.events.Reset()
				err := call(resilient.WithReceipt(r.ctx, &receipt), r)
				require.Error(t, err)
				done := r.events.Of(resilient.KindDone)
				require.Len(t, done, 1)
				require.Equal(t, err, done[0].Err)
				require.Equal(t, resilient.Receipt{}, receipt)
			})
		})
	}
}

// Receipt.Store is who answered; a Store leaves it empty when it did not.
func TestRegression_TheReceiptOfACallThatNobodyAnsweredNamesTheGroup(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Down()
		r.faults[1].Down()
		for name, call := range receipts {
			receipt := resilient.Receipt{Store: "mem"}
			require.Error(t, call.call(resilient.WithReceipt(r.ctx, &receipt), r.kv))
			require.Empty(t, receipt.Store, name)
		}
	})
}

// Ten clean minutes take one doubling back; relapses beyond MaxAfter are no
// doublings, or a member that flapped for an hour is punished for days.
func TestRegression_RelapsesBeyondMaxAfterAreNeverForgiven(t *testing.T) {
	inRig(t, 2, failback(failover.Failback{After: time.Second, MaxAfter: 4 * time.Second}), func(r *rig) {
		for range 30 {
			r.away(0)
			r.back(0)
			r.activates(0)
		}
		require.Equal(t, 4*time.Second, r.held(0))
		time.Sleep(time.Hour)
		r.away(0)
		r.back(0)
		r.activates(0)
		require.Equal(t, time.Second, r.held(0))
	})
}

// A store that ends the goroutine of a trial call must not end the one that
// looks after the member: nothing would ever be handed back to it again.
func TestRegression_AGoexitInATrialCallEndsTheHandBackForGood(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "1")
		torn := errors.New("torn")
		r.faults[0].FailReads(torn)
		for range 5 {
			r.reads("k", "1")
		}
		require.Equal(t, "open", r.state(0), "opened by calls: trial calls close it")
		r.faults[0].Up()
		r.faults[0].GoexitNext(1)
		time.Sleep(time.Minute)
		r.faults[0].FailWrites(torn)
		r.set("k", "2")
		r.faults[0].Up()
		r.rest()
		r.activates(0)
	})
}

// An Observer is promised that no lock is held; told of a hand-back's call it
// may write that very key.
func TestRegression_AnObserverThatWritesTheKeyOfAHandBackHangs(t *testing.T) {
	var group atomic.Pointer[failover.KV]
	var wrote atomic.Pointer[error]
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Observer = resilient.Tee(cfg.Observer, observerFunc(func(_ context.Context, e resilient.Event) {
			kv := group.Load()
			if e.Kind != resilient.KindCall || e.Store != "mem" || kv == nil || !group.CompareAndSwap(kv, nil) {
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			err := kv.SetRaw(ctx, "k", []byte("observer"))
			wrote.Store(&err)
		}))
	}, func(r *rig) {
		r.owe(0, "k")
		group.Store(r.kv)
		require.NoError(t, r.kv.Release(r.name(0)))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.NotNil(t, wrote.Load())
		require.NoError(t, *wrote.Load())
	})
}

// idler is a store whose writes end an hour later, whatever their ctx says.
type idler struct{ constant }

func (*idler) SetRaw(context.Context, string, []byte) error { time.Sleep(time.Hour); return nil }

func TestRegression_AWriteThatNobodyAnsweredNamesTheMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv, err := failover.New(failover.Config{
			Writes: failover.Mirror, Complete: true,
			Member: resilient.Config{Timeout: 100 * time.Millisecond, Probe: resilient.Probe{Interval: -1}},
		}, &idler{}, &idler{})
		require.NoError(t, err)
		err = kv.SetRaw(t.Context(), "k", nil)
		var e *failover.Error
		require.True(t, errors.As(err, &e))
		require.Len(t, e.Members, 2, "each of them was asked")
		require.ErrorContains(t, err, "timeout")
		time.Sleep(2 * time.Hour)
		_ = kv.Close()
	})
}

func TestRegression_ACallWithAllMembersDrainedSaysSo(t *testing.T) {
	inRig(t, 1, nil, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		require.ErrorContains(t, r.kv.SetRaw(r.ctx, "k", nil), "drained")
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorContains(t, err, "drained")
	})
}
