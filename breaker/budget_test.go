package breaker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCallsAllocateNothing(t *testing.T) {
	closed := mustNew(t, Config{Failures: -1})
	rated := mustNew(t, Config{Failures: -1, Rate: 1, MinCalls: maxCount})
	open := mustNew(t, Config{})
	require.NoError(t, open.Force(Open, "test"))
	halfOpen := mustNew(t, Config{Failures: 1, OpenFor: time.Microsecond, Lease: time.Hour})
	call(t, halfOpen, Failure)
	require.Eventually(t, func() bool { return halfOpen.State() == HalfOpen }, time.Minute, time.Millisecond)
	full := mustNew(t, Config{Failures: 1, OpenFor: time.Microsecond, Lease: time.Hour})
	call(t, full, Failure)
	require.Eventually(t, func() bool { return full.State() == HalfOpen }, time.Minute, time.Millisecond)
	allow(t, full)
	allow(t, full)

	settle := func(b *Breaker, o Outcome) func() {
		return func() {
			p, err := b.Allow()
			if err != nil {
				panic(err)
			}
			p.Done(o, errDown)
		}
	}
	turnAway := func(b *Breaker) func() {
		return func() {
			if _, err := b.Allow(); err == nil {
				panic("let through")
			}
		}
	}
	for name, f := range map[string]func(){
		"success":                settle(closed, Success),
		"ignored":                settle(closed, Ignored),
		"failure":                settle(closed, Failure),
		"success after failures": func() { settle(closed, Failure)(); settle(closed, Success)() },
		"success, rate on":       settle(rated, Success),
		"failure, rate on":       settle(rated, Failure),
		"trial":                  settle(halfOpen, Ignored),
		"refusal, open":          turnAway(open),
		"refusal, half-open":     turnAway(full),
		"state":                  func() { closed.State(); closed.InDoubt() },
		"status":                 func() { closed.Status() },
		"health check":           func() { closed.ReportHealth(nil) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
	require.Equal(t, Closed, closed.State())
	require.Equal(t, Closed, rated.State())
	require.Equal(t, HalfOpen, halfOpen.State())
}

// What a good call costs is decided by what it must not do: take the lock.
func TestGoodCallsAndRefusalsTakeNoLock(t *testing.T) {
	closed := mustNew(t, Config{})
	open := mustNew(t, Config{})
	require.NoError(t, open.Force(Open, "test"))
	closed.mu.Lock()
	open.mu.Lock()
	p := allow(t, closed)
	p.Done(Success, nil)
	p = allow(t, closed)
	p.Done(Ignored, nil)
	refused(t, open)
	require.Equal(t, Open, open.State())
	require.False(t, open.InDoubt())
	open.mu.Unlock()
	closed.mu.Unlock()
}
