package resilient

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCheckHealthEndsInTimeEvenIfHealthIgnoresItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		b := newBeats(func(context.Context, int) error { <-wake; return nil })
		began := time.Now()
		c := CheckHealth(t.Context(), b)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, 2*time.Second, c.Latency)
		require.True(t, c.Slow)
		require.ErrorIs(t, c.Err, ErrTimeout)
		require.Equal(t, time.Now(), c.Time)

		for d, want := range map[time.Duration]error{10 * time.Second: context.DeadlineExceeded, time.Millisecond: context.DeadlineExceeded} {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			began = time.Now()
			c = CheckHealth(ctx, b)
			require.Equal(t, d, time.Since(began), "the ctx's deadline rules, be it shorter or longer")
			require.ErrorIs(t, c.Err, want)
			cancel()
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, CheckHealth(ctx, b).Err, context.Canceled)
		n := b.checks()
		require.ErrorIs(t, CheckHealth(ctx, b).Err, context.Canceled, "ended before")
		require.Equal(t, n, b.checks())
		close(wake)
	})
}

func TestCheckHealthSaysWhatTheStoreSays(t *testing.T) {
	require.NoError(t, CheckHealth(t.Context(), newFake()).Err)
	require.Equal(t, errBroken, CheckHealth(t.Context(), newBeats(func(context.Context, int) error { return errBroken })).Err)
	require.Error(t, CheckHealth(t.Context(), newBeats(func(context.Context, int) error { panic("x") })).Err)
	require.Error(t, CheckHealth(t.Context(), nil).Err)
	var none *fake
	require.Error(t, CheckHealth(t.Context(), none).Err)
}

func TestWatchFollowsTheStateOfTheStoreUntilItsCtxIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(_ context.Context, n int) error {
			if n >= 3 && n <= 7 {
				return errBroken
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		var failed []bool
		Watch(ctx, b, Probe{Jitter: -1}, func(c Check) { failed = append(failed, c.Err != nil) })
		require.Equal(t, 30*time.Second, time.Since(start))
		require.Equal(t, []bool{false, false, true, true, true, true, true, false, false}, failed)
		require.Equal(t, []time.Duration{0, 5e9, 5e9, 1e9, 1e9, 2e9, 3e9, 4.5e9, 5e9}, b.gaps(start))
	})
}

func TestRegression_WatchTakesAMostDownIntervalThatWrapDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(context.Context, int) error { return errBroken })
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		Watch(ctx, b, Probe{Jitter: -1, MaxDownInterval: time.Second}, func(Check) {})
		require.Equal(t, []time.Duration{0, 1e9, 1e9, 2e9, 3e9, 4.5e9, 6.75e9, 10.125e9}, b.gaps(start), "it grows, up to the default")
	})
}

func TestS19_WatchHasAtMostOneHungCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		b := newBeats(func(context.Context, int) error { <-wake; return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		Watch(ctx, b, Probe{}, func(c Check) {
			require.ErrorIs(t, c.Err, ErrTimeout)
			n++
		})
		require.Greater(t, n, 5)
		require.Equal(t, 1, b.checks())
		close(wake)
	})
}

func TestWatchDoesNotTellACheckThatItsCtxCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(func(ctx context.Context, _ int) error { return hangs(ctx) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		Watch(ctx, b, Probe{}, func(Check) { t.Error("cut short") })
		require.Equal(t, 1, b.checks())
	})
}

func TestWatchWithoutAnIntervalOnlyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		Watch(ctx, b, Probe{Interval: -1}, func(Check) { t.Error("no checks") })
		require.Zero(t, b.checks())
		require.Error(t, ctx.Err())
	})
}

func TestS19_AGroupIsCheckedSideBySideAndNotAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		group := Group{}
		for i := range 200 {
			group[fmt.Sprint(i)] = newBeats(func(context.Context, int) error {
				n := now.Add(1)
				for {
					m := most.Load()
					if n <= m || most.CompareAndSwap(m, n) {
						break
					}
				}
				time.Sleep(time.Second)
				now.Add(-1)
				return nil
			})
		}
		began := time.Now()
		require.True(t, group.AllHealthy(t.Context()))
		require.Equal(t, 4*time.Second, time.Since(began))
		require.Equal(t, int32(64), most.Load())

		group["bad"] = newBeats(func(context.Context, int) error { return errBroken })
		checks := group.CheckAll(t.Context())
		require.Len(t, checks, 201)
		require.Equal(t, errBroken, checks["bad"].Err)
		require.NoError(t, checks["7"].Err)
		require.False(t, group.AllHealthy(t.Context()))
	})
}

func TestAHungStoreOfAGroupDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		group := Group{
			"hung": newBeats(func(context.Context, int) error { <-wake; return nil }),
			"good": newFake(),
			"nil":  nil,
		}
		began := time.Now()
		checks := group.CheckAll(t.Context())
		require.Equal(t, 2*time.Second, time.Since(began), "each has its own deadline")
		require.ErrorIs(t, checks["hung"].Err, ErrTimeout)
		require.NoError(t, checks["good"].Err)
		require.Zero(t, checks["good"].Latency)
		require.Error(t, checks["nil"].Err)
		require.True(t, Group{}.AllHealthy(t.Context()))
		close(wake)
	})
}
