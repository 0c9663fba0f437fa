package failover_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// handBack returns what the status says of the hand-back to member i.
func (r *rig) handBack(i int) resilient.HandBackStatus { return r.kv.Status().Members[i].HandBack }

// stops returns what was told of hand-back that delivered nothing.
func (r *rig) stops() (told []resilient.Class) {
	for _, e := range r.events.Of(resilient.KindHandedBack) {
		if e.Count == 0 {
			told = append(told, e.Class)
		}
	}
	return told
}

func TestRegression_AHandBackThatNeverDeliversShowsOnlyInWhatIsOwed(t *testing.T) {
	full := errors.New("disk full")
	refuses := func(kv resilient.KVWithHealth, err error) *hooked {
		return &hooked{KVWithHealth: kv, set: func(context.Context, string, []byte) error { return err }}
	}
	for name, c := range map[string]struct {
		err    error
		class  resilient.Class
		reason string
	}{
		"it fails":              {full, resilient.Failed, "the member failed"},
		"it refuses":            {&resilient.Error{Class: resilient.Refused, Err: full}, resilient.Refused, "the member refused it"},
		"it does not take that": {resilient.ErrValueTooLarge, resilient.Invalid, "the member does not take some of it"},
	} {
		t.Run(name, func(t *testing.T) {
			inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
				if i == 1 {
					return kv
				}
				return refuses(kv, c.err)
			}, func(r *rig) {
				require.Zero(t, r.handBack(0))
				require.NoError(t, r.kv.Drain(r.name(0)))
				r.set("k", "v")
				time.Sleep(time.Second)
				require.Zero(t, r.handBack(0), "it is drained, and that is said")
				since := time.Now()
				require.NoError(t, r.kv.Release(r.name(0)))
				time.Sleep(5 * time.Minute)
				got := r.handBack(0)
				require.Equal(t, c.class, got.Class)
				require.Equal(t, c.reason, got.Reason)
				require.Error(t, got.Err)
				require.Equal(t, since, got.Since)
				require.Equal(t, []resilient.Class{c.class}, r.stops(), "told once")
				require.Zero(t, r.handBack(1))
				r.discards(0, 1)
				require.Zero(t, r.handBack(0), "it is owed nothing")
				synctest.Wait()
				require.NoError(t, r.kv.Drain(r.name(0)))
				r.set("k", "v")
				require.Zero(t, r.handBack(0), "and what comes after that begins anew")
			})
		})
	}
}

func TestAHandBackThatGetsOnAgainIsNotStalled(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.set("k", "v")
		time.Sleep(time.Minute)
		require.NotZero(t, r.handBack(0))
		r.faults[0].Up()
		r.rest()
		require.Zero(t, r.handBack(0))
	})
}

func TestAMemberThatIsAwayIsNotStalled(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		r.set("k", "v")
		r.until("it is open", func() bool { return r.state(0) == "open" })
		time.Sleep(time.Minute)
		require.Zero(t, r.handBack(0))
		require.Error(t, r.kv.Flush(r.ctx))
		require.Zero(t, r.handBack(0))
		require.Empty(t, r.stops())
	})
}

func TestStatusSaysThatAHandBackWaitsForEarlierCalls(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Unhealthy(errors.New("sick"))
		r.faults[0].AckLost(1)
		r.set("k", "v")
		time.Sleep(time.Minute)
		require.Zero(t, r.handBack(0), "it is not healthy")
		r.faults[0].Up()
		time.Sleep(time.Second)
		got := r.handBack(0)
		require.Equal(t, "waits until earlier calls can no longer take effect", got.Reason)
		require.NoError(t, got.Err)
		require.Equal(t, resilient.OK, got.Class)
		r.rest()
		require.Empty(t, r.stops())
	})
}

func TestRegression_AFullJournalShowsOnlyInRefusedWrites(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(2) }, func(r *rig) {
		r.away(0)
		r.set("a", "1")
		r.set("b", "1")
		require.Zero(t, r.kv.Status().Journal, "it has not refused anything")
		since := time.Now()
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "c", nil), failover.ErrJournalFull)
		time.Sleep(time.Minute)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "c", nil), failover.ErrJournalFull)
		require.Equal(t, resilient.JournalStatus{State: resilient.JournalFull, Since: since}, r.kv.Status().Journal)
		require.Equal(t, resilient.Degraded, r.kv.Status().Condition)
		require.True(t, r.kv.Status().ReadOnly)
		require.ErrorIs(t, r.kv.Health(r.ctx), failover.ErrJournalFull)
		r.reads("a", "1")
		r.back(0)
		r.rest()
		r.until("there is room", func() bool { return r.kv.Status().Journal == resilient.JournalStatus{} })
		r.activates(0)
		require.Equal(t, resilient.Up, r.kv.Status().Condition)
		require.False(t, r.kv.Status().ReadOnly)
		require.NoError(t, r.kv.Health(r.ctx))
	})
}

func TestRegression_AWriteTooLargeForAnyJournalMadeTheGroupReadOnlyForGood(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(2) }, func(r *rig) {
		batch := map[string][]byte{"a": nil, "b": nil, "c": nil}
		require.ErrorIs(t, r.kv.BatchSetRaw(r.ctx, batch), failover.ErrJournalFull)
		require.Zero(t, r.kv.Status().Journal, "it is empty")
		require.False(t, r.kv.Status().ReadOnly)
		require.NoError(t, r.kv.Health(r.ctx))
		r.set("a", "1")
	})
}

func TestStatusSaysWhyACopyIsNotRemoved(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.withRemoval("k", "v")
		time.Sleep(time.Minute)
		require.Empty(t, r.kv.Owed())
		require.Equal(t, "the member refused it", r.handBack(1).Reason)
		r.faults[1].Up()
		r.settled()
		require.Zero(t, r.handBack(1))
	})
}
