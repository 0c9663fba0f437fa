package failover_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

func TestTheDeadlineIsSharedByTheCandidatesLeft(t *testing.T) {
	for _, c := range []struct {
		members, hung  int
		deadline, want time.Duration
	}{
		{2, 1, 400 * time.Millisecond, 200 * time.Millisecond},
		{3, 1, 900 * time.Millisecond, 300 * time.Millisecond},
		{3, 2, 900 * time.Millisecond, 600 * time.Millisecond}, // 300, then half of 600
		{3, 2, 120 * time.Millisecond, 85 * time.Millisecond},  // 50 at least, then half of 70
		{3, 2, 150 * time.Millisecond, 100 * time.Millisecond}, // 50 and 50
		{3, 2, 90 * time.Millisecond, 60 * time.Millisecond},   // 50 would not fit: 30 each
		{2, 1, 90 * time.Millisecond, 45 * time.Millisecond},
		{2, 1, 10 * time.Second, timeout}, // the member's own Timeout is less
		{3, 2, 10 * time.Second, 2 * timeout},
		{3, 2, 2500 * time.Millisecond, 2500 * time.Millisecond * 2 / 3},
	} {
		t.Run(fmt.Sprintf("%d of %d hang, %v", c.hung, c.members, c.deadline), func(t *testing.T) {
			for name, call := range map[string]func(r *rig, ctx context.Context) error{
				"get":   func(r *rig, ctx context.Context) error { _, err := r.kv.GetRaw(ctx, "k"); return err },
				"list":  func(r *rig, ctx context.Context) error { _, err := r.kv.List(ctx, ""); return err },
				"batch": func(r *rig, ctx context.Context) error { _, err := r.kv.BatchGetRaw(ctx, []string{"k"}); return err },
			} {
				t.Run(name, func(t *testing.T) {
					inRig(t, c.members, func(cfg *failover.Config) {
						unbreakable(cfg)
						cfg.Member.LongTimeout = timeout
					}, func(r *rig) {
						r.set("k", "v")
						for i := range c.hung {
							r.faults[i].Hang()
						}
						ctx, cancel := context.WithTimeout(r.ctx, c.deadline)
						defer cancel()
						require.Equal(t, c.want, took(func() { require.NoError(t, call(r, ctx)) }))
						require.Zero(t, took(func() { r.reads("k", "v") }), "who used up his share is suspect")
					})
				})
			}
		})
	}
}

func TestTheLastCandidateGetsAllThatIsLeft(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		r.faults[1].Hang()
		r.faults[2].Latency(290 * time.Millisecond)
		ctx, cancel := context.WithTimeout(r.ctx, 900*time.Millisecond)
		defer cancel()
		require.Equal(t, 890*time.Millisecond, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.NoError(t, err)
		}))
	})
}

func TestWhenEveryMemberHangsACallEndsAtItsDeadline(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		for _, f := range r.faults {
			f.Hang()
		}
		ctx, cancel := context.WithTimeout(r.ctx, 900*time.Millisecond)
		defer cancel()
		require.Equal(t, 900*time.Millisecond, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}))
	})
}

func TestAWriteWaitsForAHungMemberOnlyForItsShare(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 400*time.Millisecond)
		defer cancel()
		require.Equal(t, 200*time.Millisecond, took(func() {
			require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v")))
		}))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		require.Zero(t, took(func() { r.set("k", "w") }), "it is suspect now")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "w")
	})
}

func TestWithoutTimeoutsADeadlineIsSharedAllTheSame(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		unbreakable(cfg)
		cfg.Member.Timeout = -1
	}, func(r *rig) {
		r.set("k", "v")
		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		require.Equal(t, 30*time.Second, took(func() {
			_, err := r.kv.GetRaw(ctx, "k")
			require.NoError(t, err)
		}))
	})
}

func TestInHandoffEachCandidateOfAWriteHasATimeoutOfItsOwn(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Hang()
		r.faults[1].Latency(timeout / 2)
		require.Equal(t, timeout+timeout/2, took(func() { r.set("k", "v") }))
		r.holds(1, "k", "v")
	})
}

func TestInHandoffAnAnswerThatComesAfterItsShareEndsTheWrite(t *testing.T) {
	inRig(t, 2, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Latency(600 * time.Millisecond) // more than its half
		r.faults[1].Latency(800 * time.Millisecond)
		ctx, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		require.Equal(t, 600*time.Millisecond, took(func() { require.NoError(t, r.kv.SetRaw(ctx, "k", []byte("v"))) }))
		require.Empty(t, r.kv.Owed())
		r.holds(0, "k", "v")
		r.settled()
		r.lacks(1, "k")
	})
}
