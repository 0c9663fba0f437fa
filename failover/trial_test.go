package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// trials returns a member that counts the trial calls it gets.
func trials(kv resilient.KVWithHealth, made *atomic.Int32) *hooked {
	return &hooked{KVWithHealth: kv, get: func(ctx context.Context, key string) ([]byte, error) {
		if key == "holdfast-trial" {
			made.Add(1)
		}
		return kv.GetRaw(ctx, key)
	}}
}

func TestRegression_AReturningMemberIsFloodedWithTrialReadsThatCannotCloseItsBreaker(t *testing.T) {
	var made atomic.Int32
	inRigOf(t, 2, func(cfg *failover.Config) {
		cfg.Member.Breaker.Rise = 20 // two seconds half-open
	}, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return trials(kv, &made)
		}
		return kv
	}, func(r *rig) {
		r.faults[0].Unhealthy(errors.New("sick"))
		r.until("checks have opened it", func() bool { return r.state(0) == "open" })
		r.faults[0].Up()
		r.until("it is half-open", func() bool { return r.state(0) == "half-open" })
		r.until("it is closed", func() bool { return r.state(0) == "closed" })
		require.LessOrEqual(t, made.Load(), int32(3), "the two that a breaker may want, and one that shows that it does not")
	})
}

func TestAnIdleMemberWhoseBreakerCallsHaveOpenedGetsItsTrials(t *testing.T) {
	var made atomic.Int32
	inRigOf(t, 2, func(cfg *failover.Config) {
		cfg.Member.Breaker = breaker.Config{OpenFor: 200 * time.Millisecond, Trials: 7, Rise: 1}
	}, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return trials(kv, &made)
		}
		return kv
	}, func(r *rig) {
		r.faults[0].FailReads(nil)
		for range 5 {
			_, _ = r.kv.GetRaw(r.ctx, "k")
		}
		require.Equal(t, "open", r.state(0))
		r.back(0)
		require.Equal(t, int32(7), made.Load())
	})
}

func TestRegression_AMemberThatTakesNoneOfWhatItIsOwedNeverComesBack(t *testing.T) {
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 1 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(context.Context, string, []byte) error {
			return &resilient.Error{Class: resilient.Invalid, Err: resilient.ErrValueTooLarge}
		}}
	}, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		for n := range 20 {
			r.set(fmt.Sprint(n), "v")
		}
		require.NoError(t, r.kv.Release(r.name(0)))
		time.Sleep(10 * time.Second) // it has said no to each
		r.faults[0].FailReads(nil)
		for range 5 {
			_, _ = r.kv.GetRaw(r.ctx, "other")
		}
		require.Equal(t, "open", r.state(0))
		r.back(0)
	})
}

func TestRegression_ATrialReadThatNeverReturnsStopsTheHandBackForEver(t *testing.T) {
	var hang chan struct{} // of the bubble
	var hangs atomic.Bool
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 1 {
			return kv
		}
		hang = make(chan struct{})
		return &hooked{KVWithHealth: kv, get: func(ctx context.Context, key string) ([]byte, error) {
			if key == "holdfast-trial" && hangs.CompareAndSwap(true, false) {
				<-hang
			}
			return kv.GetRaw(ctx, key)
		}}
	}, func(r *rig) {
		defer close(hang)
		hangs.Store(true)
		r.faults[0].FailReads(nil)
		for range 5 {
			_, _ = r.kv.GetRaw(r.ctx, "k")
		}
		r.until("it is half-open", func() bool { return r.state(0) == "half-open" })
		r.faults[0].Up()
		time.Sleep(time.Minute)
		require.False(t, hangs.Load(), "a trial hangs")
		require.NoError(t, r.kv.Drain(r.name(0)))
		r.set("k", "v")
		require.NoError(t, r.kv.Release(r.name(0)))
		r.rest()
		r.holds(0, "k", "v")
	})
}
