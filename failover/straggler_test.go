package failover_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestAStragglerThatFailsAtLastCanStillLand(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.faults[1].ApplyLate(true)
		r.faults[1].LateBy(time.Second)
		r.faults[1].Hang()
		r.faults[1].LieHealthy()
		r.set("k", "1")
		time.Sleep(2 * timeout) // its call has timed out, when nobody waited for it any more
		r.faults[1].Up()
		time.Sleep(100 * time.Millisecond)
		r.set("k", "2")
		time.Sleep(time.Minute) // "1" lands
		r.holds(1, "k", "2")
	})
}

func TestALateAnswerDoesNotClearAMemberThatAnEarlierCallHasChanged(t *testing.T) {
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return kv
		}
		n := 0
		return &hooked{KVWithHealth: kv, set: func(_ context.Context, key string, value []byte) error {
			switch n++; n {
			case 1:
				time.AfterFunc(2*timeout, func() { _ = kv.SetRaw(context.Background(), key, []byte("1")) })
				return errors.New("torn")
			case 2:
				defer time.Sleep(10 * timeout)
			}
			return kv.SetRaw(context.Background(), key, value)
		}}
	}, func(r *rig) {
		r.set("k", "1")
		r.set("k", "2")
		time.Sleep(time.Minute)
		r.holds(1, "k", "2")
		require.Empty(t, r.kv.Owed())
	})
}

func TestAStragglerThatRefusesAtLastGetsTheWriteAtOnce(t *testing.T) {
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return kv
		}
		asked := false
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			if !asked {
				asked = true
				time.Sleep(timeout / 10)
				return resilient.ErrRefused
			}
			return kv.SetRaw(ctx, key, value)
		}}
	}, func(r *rig) {
		r.set("k", "v")
		require.Equal(t, map[string]int{r.name(1): 1}, r.kv.Owed())
		time.Sleep(timeout / 10)
		require.Empty(t, r.kv.Owed(), "nothing of the first call can land")
		r.holds(1, "k", "v")
	})
}

// noTimeout is for members that hang for as long as their caller waits.
func noTimeout(cfg *failover.Config) { cfg.Member.Timeout = -1 }

func TestACallThatWasLeftBehindEndsThoughItsMemberHasNoTimeout(t *testing.T) {
	for name, hung := range map[string][]int{"a straggler": {1}, "nobody answers": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, both(unbreakable, noTimeout), func(r *rig) {
				for _, i := range hung {
					r.faults[i].Hang()
					r.faults[i].LieHealthy()
				}
				ctx, cancel := context.WithCancel(r.ctx)
				defer cancel()
				time.AfterFunc(timeout/10, cancel)
				_ = r.kv.SetRaw(ctx, "k", []byte("v"))
				time.Sleep(timeout)
				require.Equal(t, len(hung), r.kv.Status().InFlight)
				time.Sleep(2 * time.Second)
				require.Zero(t, r.kv.Status().InFlight)
			})
		})
	}
}

func TestInHandoffAWriteWhoseCallerHasLeftGetsToTheLastCandidate(t *testing.T) {
	inRig(t, 3, both(handoff, unbreakable), func(r *rig) {
		r.faults[0].Hang()
		r.faults[1].Hang()
		r.faults[2].Latency(timeout / 2)
		ctx, cancel := context.WithCancel(r.ctx)
		time.AfterFunc(timeout/10, cancel)
		require.ErrorIs(t, r.kv.SetRaw(ctx, "k", []byte("v")), resilient.ErrAmbiguous)
		time.Sleep(3 * timeout)
		r.holds(2, "k", "v")
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
	})
}
