package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inFlight counts the trials of each generation that their callers hold.
type inFlight struct {
	mu   sync.Mutex
	now  map[uint64]int
	most int
}

func (f *inFlight) add(p Permit, n int) {
	if p.lease == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now[p.word>>wordBits] += n
	f.most = max(f.most, f.now[p.word>>wordBits])
}

func TestManyGoroutinesNeverBreakTheInvariants(t *testing.T) {
	const callers, calls, trials = 64, 400, 3
	inBubble(t, func(t *testing.T) {
		var rec recorder
		var telling, overlaps, panics, served, turnedAway atomic.Int64
		b := mustNew(t, Config{
			Failures: 4, Rate: 0.6, Trials: trials, Lease: 5 * time.Millisecond, OpenFor: time.Millisecond,
			MaxOpenFor: 4 * time.Millisecond, StableFor: 20 * time.Millisecond,
			OnChange: func(c Change) {
				if telling.Add(1) > 1 {
					overlaps.Add(1)
				}
				defer telling.Add(-1)
				rec.add(c)
				if len(rec.all())%7 == 0 {
					panics.Add(1)
					panic("observer")
				}
			},
		})
		var down atomic.Bool
		held := inFlight{now: map[uint64]int{}}
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), 1))
				for range calls {
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Microsecond)
					p, err := b.Allow()
					if err != nil {
						turnedAway.Add(1)
						continue
					}
					served.Add(1)
					held.add(p, 1)
					if rng.IntN(50) == 0 {
						time.Sleep(10 * time.Millisecond) // hangs, longer than a lease
					} else {
						time.Sleep(time.Duration(rng.IntN(600)) * time.Microsecond)
					}
					held.add(p, -1)
					switch {
					case rng.IntN(10) == 0:
						p.Done(Ignored, nil)
					case rng.IntN(500) == 0: // lost
					case down.Load():
						p.Done(Failure, errDown)
					default:
						p.Done(Success, nil)
					}
				}
			})
		}
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(99, 1))
			for range 400 {
				time.Sleep(500 * time.Microsecond)
				switch rng.IntN(20) {
				case 0:
					_ = b.Force(Open, "stress")
				case 1:
					_ = b.Force(Closed, "stress")
				case 2, 3, 4, 5, 6:
					b.Release()
				case 7:
					b.ExpectChecks(rng.IntN(2) == 0)
				case 8:
					b.Doubt()
				case 9, 10, 11:
					down.Store(!down.Load())
				default:
					c := b.StartCheck()
					time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
					if down.Load() {
						c.Done(errDown)
					} else {
						c.Done(nil)
					}
				}
				b.Status()
			}
		})
		wg.Wait()
		synctest.Wait()

		changes := rec.all()
		requirePath(t, changes)
		require.Zero(t, overlaps.Load(), "OnChange ran twice at once")
		require.LessOrEqual(t, held.most, trials)
		require.Equal(t, trials, held.most, "the stress never filled the places")
		require.Greater(t, len(changes), 40)
		require.Greater(t, panics.Load(), int64(5))
		require.Greater(t, served.Load(), int64(1000))
		require.Greater(t, turnedAway.Load(), int64(1000))
		require.Equal(t, b.State(), changes[len(changes)-1].To)

		// Whatever has happened, a healthy store is served again.
		b.Release()
		b.ExpectChecks(true)
		for i := 0; b.State() != Closed; i++ {
			require.Less(t, i, 20, "%+v", b.Status())
			pass(5 * time.Millisecond)
			b.ReportHealth(nil)
			if p, err := b.Allow(); err == nil {
				p.Done(Success, nil)
			}
		}
		t.Logf("RESULT kind=breaker-race changes=%d served=%d refused=%d most-trials=%d", len(changes), served.Load(), turnedAway.Load(), held.most)
	})
}

func TestConcurrentFailuresOpenItOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var rec recorder
		b := mustNew(t, Config{OnChange: rec.add})
		b.ExpectChecks(true)
		var wg sync.WaitGroup
		var permits []Permit
		for range 64 {
			permits = append(permits, allow(t, b))
		}
		for i := range permits {
			wg.Go(func() { permits[i].Done(Failure, errDown) })
		}
		wg.Wait()
		require.Len(t, rec.all(), 1)
		require.Equal(t, time.Second, b.Status().OpenFor)
	})
}

// What is decided without the lock is decided again under it. These tests come
// in between, as another goroutine would.

func TestAPlaceTakenBetweenLookAndLockIsNotGivenTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 2})
		call(t, b, Failure)
		pass(time.Second)
		looked := b.word.Load()
		first := allow(t, b)
		allow(t, b)
		_, err := b.allowSlowly(looked)
		require.ErrorIs(t, err, ErrOpen)
		require.Equal(t, 2, b.Status().InTrial)

		first.Done(Failure, errDown)
		_, err = b.allowSlowly(looked)
		require.ErrorIs(t, err, ErrOpen, "it has opened again")
		require.Zero(t, b.Status().InTrial)
	})
}

func TestACallThatEndsWhileTheBreakerOpensIsStale(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := mustNew(t, Config{Failures: 1, Trials: 1})
		p := allow(t, b)
		call(t, b, Failure)
		pass(time.Second)
		b.settle(p, Success, nil) // it has seen its own word before the opening
		require.Equal(t, HalfOpen, b.State())
		b.settle(p, Failure, errDown)
		require.Equal(t, HalfOpen, b.State())
	})
}
