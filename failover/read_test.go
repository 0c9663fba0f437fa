package failover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func incomplete(cfg *failover.Config) { cfg.Complete = false }

func TestAReadThatAMemberRefusesGoesOnToTheNext(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Down()
		r.faults[1].FailReads(nil)
		var receipt resilient.Receipt
		got, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &receipt), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(got))
		require.Equal(t, resilient.Receipt{Store: r.name(2), Degraded: true}, receipt)
	})
}

func TestAMissIsAnAnswer(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		before := r.faults[1].Count(resilient.OpGet)
		_, err := r.kv.GetRaw(r.ctx, "nobody")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		require.Equal(t, before, r.faults[1].Count(resilient.OpGet), "the second member was not asked")
	})
}

func TestAMissOnACompleteMemberIsAnAnswerWhileTheFirstIsAway(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		_, err := r.kv.GetRaw(r.ctx, "nobody")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		require.NotErrorIs(t, err, failover.ErrUncertain)
	})
}

func TestAMissOnAnIncompleteMemberIsUncertain(t *testing.T) {
	inRig(t, 2, incomplete, func(r *rig) {
		require.NoError(t, r.stores[0].SetRaw(r.ctx, "old", []byte("1")), "written before the second member joined")
		r.faults[0].Down()
		_, err := r.kv.GetRaw(r.ctx, "old")
		require.ErrorIs(t, err, failover.ErrUncertain)
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.NotErrorIs(t, err, resilient.ErrNotFound)
		require.ErrorContains(t, err, "Complete", "the text names the remedy")

		_, err = r.kv.List(r.ctx, "")
		require.ErrorIs(t, err, failover.ErrUncertain, "List")
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"old"})
		require.ErrorIs(t, err, failover.ErrUncertain, "BatchGetRaw")
		require.Nil(t, values)

		r.faults[0].Up()
		time.Sleep(time.Minute)
		r.reads("old", "1")
	})
}

func TestAnUncertainMissAsksTheFirstMemberThoughItIsHeldBack(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Complete = false
		cfg.Failback.After = time.Hour
		cfg.Failback.MaxAfter = time.Hour
	}, func(r *rig) {
		require.NoError(t, r.stores[0].SetRaw(r.ctx, "old", []byte("1")))
		r.faults[0].Down()
		time.Sleep(10 * time.Second)
		r.faults[0].Up()
		time.Sleep(10 * time.Second)
		require.Equal(t, r.name(1), r.kv.Active(), "the first member is back, and held back")
		r.reads("old", "1")
	})
}

func TestAHitOnAnIncompleteMemberIsServedAndMarked(t *testing.T) {
	inRig(t, 2, incomplete, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Down()
		var receipt resilient.Receipt
		got, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &receipt), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(got))
		require.True(t, receipt.Degraded)
	})
}

func TestAHungFirstMemberGetsItsShareOfTheDeadline(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 400*time.Millisecond)
		defer cancel()
		d := took(func() {
			got, err := r.kv.GetRaw(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "v", string(got))
		})
		require.Equal(t, 200*time.Millisecond, d, "half of what was left")
	})
}

func TestWithoutADeadlineAHungMemberGetsItsTimeout(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		require.Equal(t, timeout, took(func() { r.reads("k", "v") }))
	})
}

func TestAfterOneTimeoutTheHungMemberIsTriedLast(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		r.reads("k", "v")
		for range 10 {
			require.Zero(t, took(func() { r.reads("k", "v") }))
		}
		require.Equal(t, r.name(1), r.kv.Active())
	})
}

func TestASuspectMemberIsClearedByAGoodCheck(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Latency(3 * time.Second) // of calls and checks
		r.reads("k", "v")
		require.Equal(t, r.name(1), r.kv.Active())
		r.faults[0].Up()
		time.Sleep(30 * time.Second)
		require.Equal(t, r.name(0), r.kv.Active())
	})
}

func TestWhenNobodyServesTheErrorSaysWhatEachMemberSaid(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		r.faults[1].FailReads(errors.New("torn"))
		_, err := r.kv.GetRaw(r.ctx, "k")
		var e *failover.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, resilient.OpGet, e.Op)
		require.Len(t, e.Members, 2)
		require.Equal(t, r.name(0), e.Members[0].Store)
		require.Equal(t, resilient.Refused, e.Members[0].Class)
		require.Equal(t, resilient.Failed, e.Members[1].Class)
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.NotErrorIs(t, err, resilient.ErrRefused, "one member's refusal is not the group's")
	})
}

func TestWhenAllRefuseTheGroupRefuses(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		r.faults[1].Down()
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", nil), resilient.ErrRefused)
	})
}

func TestABusyMemberSendsReadsOnAndIsNotLeft(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Member.MaxInFlight = 1 }, func(r *rig) {
		r.set("k", "v")
		slow := r.fills("k", "v")
		require.Zero(t, took(func() { r.reads("k", "v") }), "the second member serves")
		require.Equal(t, r.name(0), r.kv.Active())
		<-slow
	})
}

func TestACallerWhoLeavesGetsItsOwnContextsError(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Hang()
		ctx, cancel := context.WithCancel(r.ctx)
		time.AfterFunc(300*time.Millisecond, cancel)
		d := took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, resilient.ErrUnavailable)
		})
		require.Equal(t, 300*time.Millisecond, d)
		_, err := r.kv.GetRaw(ctx, "k")
		require.Equal(t, context.Canceled, err, "a ctx that has ended")
	})
}

func TestWhatIsOwedIsReadFromTheGroupWhoeverIsAway(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("kept", "1")
		r.set("gone", "1")
		r.faults[0].Down()
		r.set("kept", "2")
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		r.faults[1].Down() // now nobody can be asked
		r.reads("kept", "2")
		_, err := r.kv.GetRaw(r.ctx, "gone")
		require.ErrorIs(t, err, resilient.ErrNotFound)
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"kept", "gone"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"kept": []byte("2")}, values)
	})
}

func TestAnOwedKeyIsNeverReadFromTheMemberThatLacksIt(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Failback.After = -1
		cfg.Member.Breaker = breaker.Config{Failures: -1, Fall: -1, Rate: 1, MinCalls: 1 << 30} // never opens
	}, func(r *rig) {
		r.set("k", "1")
		r.set("d", "1")
		r.faults[0].FailWrites(nil)
		r.set("k", "2")
		require.NoError(t, r.kv.Delete(r.ctx, "d"))
		require.Equal(t, r.name(0), r.kv.Active(), "reads go to the first member")
		r.holds(0, "k", "1")
		r.reads("k", "2")
		keys, err := r.kv.List(r.ctx, "")
		require.NoError(t, err)
		require.Equal(t, []string{"k"}, keys)
		values, err := r.kv.BatchGetRaw(r.ctx, []string{"k", "d"})
		require.NoError(t, err)
		require.Equal(t, map[string][]byte{"k": []byte("2")}, values)
	})
}

func TestS30_TheCallerOwnsWhatItReadsFromTheOverlay(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].Down()
		r.set("k", "good")
		got, err := r.kv.GetRaw(r.ctx, "k")
		require.NoError(t, err)
		copy(got, "evil")
		r.reads("k", "good")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "good")
	})
}

func TestAReadForWhichOneMemberIsFullAndThatAnotherFailsIsNotRefused(t *testing.T) {
	inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Member.MaxInFlight = 1 }), func(r *rig) {
		r.set("k", "v")
		slow := r.fills("k", "v")
		r.faults[1].FailReads(errors.New("torn"))
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.NotErrorIs(t, err, resilient.ErrRefused, "one of them did try")
		<-slow
	})
}
