package failover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// primaryOnly makes a rig's group one whose first member alone is written to.
func primaryOnly(cfg *failover.Config) { cfg.Writes = failover.PrimaryOnly }

func TestPrimaryOnlyWritesToTheFirstMemberAlone(t *testing.T) {
	inRig(t, 2, primaryOnly, func(r *rig) {
		r.set("k", "v")
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil}))
		require.NoError(t, r.kv.Delete(r.ctx, "none"))
		r.holds(0, "k", "v")
		r.lacks(1, "k")
		require.Empty(t, r.kv.Owed())
	})
}

func TestPrimaryOnlyRefusesWritesAtOnceWhileTheFirstMemberIsAway(t *testing.T) {
	inRig(t, 2, primaryOnly, func(r *rig) {
		require.NoError(t, r.stores[1].SetRaw(r.ctx, "k", []byte("replica")))
		r.away(0)
		d := took(func() {
			for name, err := range map[string]error{
				"set": r.kv.SetRaw(r.ctx, "k", []byte("v")), "delete": r.kv.Delete(r.ctx, "k"),
				"batch": r.kv.BatchDelete(r.ctx, []string{"k"}),
			} {
				require.ErrorIs(t, err, failover.ErrReadOnly, name)
				require.ErrorIs(t, err, resilient.ErrRefused, name)
				require.NotErrorIs(t, err, resilient.ErrAmbiguous, name)
			}
		})
		require.Zero(t, d)
		var receipt resilient.Receipt
		value, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &receipt), "k")
		require.NoError(t, err)
		require.Equal(t, "replica", string(value))
		require.True(t, receipt.Degraded)
		require.ErrorIs(t, r.kv.Health(r.ctx), failover.ErrReadOnly)
		require.Equal(t, resilient.Degraded, r.kv.Status().Condition)
		require.True(t, r.kv.Status().ReadOnly)

		r.back(0)
		require.False(t, r.kv.Status().ReadOnly)
		r.set("k", "v")
		require.NoError(t, r.kv.Health(r.ctx))
	})
}

func TestPrimaryOnlySaysWhatBecameOfAWriteThatFailed(t *testing.T) {
	inRig(t, 2, both(unbreakable, primaryOnly), func(r *rig) {
		r.faults[0].FailWrites(nil) // refuses
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", nil), failover.ErrReadOnly)
		r.faults[0].Up()
		r.faults[0].AckLost(1)
		err := r.kv.SetRaw(r.ctx, "k", nil)
		require.ErrorIs(t, err, resilient.ErrAmbiguous)
		require.NotErrorIs(t, err, resilient.ErrRefused)
		require.Empty(t, r.kv.Owed(), "nothing is rolled forward")

		r.faults[0].Hang()
		ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
		defer cancel()
		err = r.kv.SetRaw(ctx, "k", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, resilient.ErrAmbiguous, "it had been sent")
		err = r.kv.SetRaw(ctx, "k", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous, "it had not")
	})
}

func TestPrimaryOnlyTakesNoJournal(t *testing.T) {
	_, err := failover.New(failover.Config{Writes: failover.PrimaryOnly, Journal: failover.MemoryJournal(0)}, openMem(t))
	require.ErrorContains(t, err, "Config.Journal")
}

func TestRegression_HealthSaysReadOnlyWhileNobodyCanServeARead(t *testing.T) {
	inRig(t, 2, primaryOnly, func(r *rig) {
		r.away(0)
		require.ErrorIs(t, r.kv.Health(r.ctx), failover.ErrReadOnly)
		require.NoError(t, r.kv.Drain(r.name(1)))
		err := r.kv.Health(r.ctx)
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, failover.ErrReadOnly)
		require.False(t, r.kv.Status().ReadOnly)
	})
}

func TestRegression_CloseCutsOffAWriteOfPrimaryOnly(t *testing.T) {
	inRigOf(t, 2, primaryOnly, keptOpen, func(r *rig) {
		r.faults[0].Latency(500 * time.Millisecond)
		written := make(chan error, 1)
		go func() { written <- r.kv.SetRaw(r.ctx, "k", []byte("v")) }()
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 400*time.Millisecond, took(func() { require.NoError(t, r.kv.Close()) }))
		require.NoError(t, <-written)
		r.holds(0, "k", "v")
	})
	inRig(t, 2, both(primaryOnly, func(cfg *failover.Config) { cfg.Member.Timeout = -1 }), func(r *rig) {
		r.faults[0].Hang()
		written := make(chan error, 1)
		go func() { written <- r.kv.SetRaw(r.ctx, "k", nil) }()
		time.Sleep(100 * time.Millisecond)
		d := took(func() { require.NoError(t, r.kv.Close()) })
		require.GreaterOrEqual(t, d, time.Second)
		require.LessOrEqual(t, d, 2*time.Second, "not for ever")
		require.ErrorIs(t, <-written, resilient.ErrAmbiguous)
	})
}
