package failover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestFlushWithNothingOwedAsksNobody(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.set("k", "v")
		calls := r.faults[0].Calls() + r.faults[1].Calls()
		require.Zero(t, took(func() { require.NoError(t, r.kv.Flush(r.ctx)) }))
		require.Equal(t, calls, r.faults[0].Calls()+r.faults[1].Calls())
	})
}

func TestFlushDuringAnOutageSaysToWhomItOwes(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		r.away(1)
		r.set("a-key", "a-value")
		r.set("b-key", "b-value")
		err := r.kv.Flush(r.ctx)
		require.ErrorIs(t, err, resilient.ErrUnavailable)
		require.ErrorContains(t, err, r.name(1))
		require.ErrorContains(t, err, "2")
		require.NotContains(t, err.Error(), "mem-3")
		require.NotContains(t, err.Error(), "-key")
		require.NotContains(t, err.Error(), "-value")
		require.Equal(t, map[string]int{r.name(1): 2}, r.kv.Owed())

		r.faults[1].Up()
		r.until("the member lets calls through", func() bool { return r.state(1) != "open" })
		require.NoError(t, r.kv.Flush(r.ctx))
		require.Empty(t, r.kv.Owed())
		r.holds(1, "a-key", "a-value")
	})
}

func TestFlushHandsBackToOneMemberThoughAnotherIsAway(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.faults[0].FailWrites(nil)
		r.faults[1].FailWrites(nil)
		r.set("k", "v")
		r.faults[1].Up()
		err := r.kv.Flush(r.ctx)
		require.ErrorContains(t, err, r.name(0))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.holds(1, "k", "v")
	})
}

func TestFlushWaitsForWhatAnEarlierCallMayStillDo(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("k", "v")
		d := took(func() { require.NoError(t, r.kv.Flush(r.ctx)) })
		require.GreaterOrEqual(t, d, 2*timeout)
		require.LessOrEqual(t, d, 4*timeout)
		require.Empty(t, r.kv.Owed())
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	for name, hang := range map[string]func(r *rig){
		"a member that hangs":                 func(r *rig) { r.faults[0].Hang() },
		"an earlier call that may still land": func(r *rig) { r.faults[0].AckLost(1); r.set("k", "w") },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Member.Timeout = time.Minute }), func(r *rig) {
				require.NoError(t, r.kv.Drain(r.name(0)))
				r.set("k", "v")
				require.NoError(t, r.kv.Release(r.name(0)))
				hang(r)
				ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
				defer cancel()
				d := took(func() {
					err := r.kv.Flush(ctx)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.ErrorContains(t, err, r.name(0))
				})
				require.Equal(t, 300*time.Millisecond, d)
				require.Zero(t, took(func() { require.ErrorIs(t, r.kv.Flush(ctx), context.DeadlineExceeded) }), "a ctx that has ended")
			})
		})
	}
}

func TestFlushWaitsForOneMemberThoughAnotherRefuses(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.faults[0].AckLost(1)
		r.faults[2].FailWrites(nil)
		r.set("k", "v")
		require.ErrorContains(t, r.kv.Flush(r.ctx), r.name(2)+":1")
		require.Equal(t, map[string]int{r.name(2): 1}, r.kv.Owed())
	})
}
