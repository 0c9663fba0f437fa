package failover_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// writeLog notes which writes a member is sent.
type writeLog struct {
	mu    sync.Mutex // guards all below
	lines []string   // "set key value", "delete key"
	now   int        // sets under way
	most  int        // of now
}

func (l *writeLog) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// forget empties the log.
func (l *writeLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.most = nil, 0
}

// all returns what was sent since forget, in the order in which it began.
func (l *writeLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// inFlight counts a set until the returned function is called.
func (l *writeLog) inFlight() (ended func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	l.most = max(l.most, l.now)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.now--
	}
}

// logged returns kv with its writes noted in l; each set takes that long.
func (l *writeLog) logged(kv resilient.KVWithHealth, each time.Duration) *hooked {
	h := &hooked{KVWithHealth: kv}
	h.set = func(ctx context.Context, key string, value []byte) error {
		defer l.inFlight()()
		l.add("set %s %s", key, value)
		time.Sleep(each)
		return kv.SetRaw(ctx, key, value)
	}
	h.del = func(ctx context.Context, key string) error {
		l.add("delete %s", key)
		return kv.Delete(ctx, key)
	}
	return h
}

// inLoggedRig is inRig with the writes to the first member noted; each set
// there takes that long.
func inLoggedRig(t *testing.T, n int, each time.Duration, change func(*failover.Config), test func(r *rig, l *writeLog)) {
	l := &writeLog{}
	inRigOf(t, n, change, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return l.logged(kv, each)
		}
		return kv
	}, func(r *rig) { test(r, l) })
}

func TestWhatIsOwedIsHandedBackOldestFirstAFewAtATime(t *testing.T) {
	const keys = 60
	for name, c := range map[string]struct {
		leave, comeBack func(r *rig)
		least           int
	}{
		"a drained member": {
			func(r *rig) { require.NoError(r.t, r.kv.Drain(r.name(0))) },
			func(r *rig) { require.NoError(r.t, r.kv.Release(r.name(0))) },
			2,
		},
		"a member that was down": {func(r *rig) { r.away(0) }, func(r *rig) { r.faults[0].Up() }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inLoggedRig(t, 2, 10*time.Millisecond, nil, func(r *rig, l *writeLog) {
				c.leave(r)
				for n := range keys {
					r.set(fmt.Sprint(n), "1")
				}
				r.set("0", "2") // keeps its place
				l.forget()
				c.comeBack(r)
				r.rest()
				require.Len(t, l.all(), keys)
				for at, line := range l.all() {
					n, err := strconv.Atoi(strings.Fields(line)[1])
					require.NoError(t, err)
					require.InDelta(t, at, n, 8, "key %d was handed back as number %d", n, at)
				}
				require.GreaterOrEqual(t, l.most, c.least)
				require.LessOrEqual(t, l.most, 8)
			})
		})
	}
}

func TestOnlyTheNewestVersionIsHandedBackAndOnlyOnce(t *testing.T) {
	inLoggedRig(t, 2, 0, nil, func(r *rig, l *writeLog) {
		r.set("gone", "1")
		r.away(0)
		for n := range 5 {
			r.set("set", fmt.Sprint(n))
			r.set("gone", fmt.Sprint(n))
			require.NoError(t, r.kv.Delete(r.ctx, "again"))
		}
		require.NoError(t, r.kv.Delete(r.ctx, "gone"))
		r.set("again", "1")
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"never"}))
		l.forget()
		r.faults[0].Up()
		r.rest()
		time.Sleep(time.Minute)
		require.ElementsMatch(t, []string{"set set 4", "delete gone", "set again 1", "delete never"}, l.all())
		r.holds(0, "set", "4")
		r.lacks(0, "gone")
		r.holds(0, "again", "1")
	})
}

func TestADeleteThatTheMemberCallsAMissIsHandedBack(t *testing.T) {
	inRigOf(t, 2, nil, func(_ int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return &hooked{KVWithHealth: kv, del: func(ctx context.Context, key string) error {
			if _, err := kv.GetRaw(ctx, key); err != nil {
				return err
			}
			return kv.Delete(ctx, key)
		}}
	}, func(r *rig) {
		r.away(0)
		require.NoError(t, r.kv.Delete(r.ctx, "never"))
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.faults[0].Up()
		r.rest()
	})
}

func TestAMemberThatWillNotTakeItStopsThePassWhichIsTriedAgain(t *testing.T) {
	for name, refusal := range map[string]error{"refuses": nil, "fails": errors.New("torn")} {
		t.Run(name, func(t *testing.T) {
			const keys = 50
			inLoggedRig(t, 2, time.Millisecond, unbreakable, func(r *rig, l *writeLog) {
				r.faults[0].FailWrites(refusal)
				for n := range keys {
					r.set(fmt.Sprint(n), "v")
				}
				l.forget()
				time.Sleep(10 * time.Second)
				tried := len(l.all())
				require.Greater(t, tried, 2, "it is tried again")
				require.Less(t, tried, 10*keys, "in 10 s: each pass stops at the first that is not taken")
				require.Equal(t, map[string]int{r.name(0): keys}, r.kv.Owed())
				require.Equal(t, 1, r.events.Count(resilient.KindHandedBack), "that it stopped is told, not each pass")
				require.Len(t, r.stops(), 1)
				r.faults[0].Up()
				r.rest()
				for n := range keys {
					r.holds(0, fmt.Sprint(n), "v")
				}
			})
		})
	}
}

func TestAMemberWhoseChecksAreGoodAndWhoseWritesFailGetsAllOfThemInTheEnd(t *testing.T) {
	inRig(t, 2, nil, func(r *rig) {
		r.faults[0].FailWrites(errors.New("torn"))
		for n := range 20 {
			r.set(fmt.Sprint(n), "v")
		}
		require.Equal(t, "open", r.state(0))
		time.Sleep(2 * time.Minute)
		require.Equal(t, map[string]int{r.name(0): 20}, r.kv.Owed())
		r.faults[0].Up()
		r.rest()
		for n := range 20 {
			r.holds(0, fmt.Sprint(n), "v")
		}
		r.activates(0)
	})
}

func TestWritesThatComeDuringHandBackGoToTheMemberToo(t *testing.T) {
	const keys = 100
	inLoggedRig(t, 2, 50*time.Millisecond, func(cfg *failover.Config) { cfg.Straggle = time.Second }, func(r *rig, _ *writeLog) {
		r.away(0)
		for n := range keys {
			r.set(fmt.Sprint(n), "old")
		}
		r.back(0)
		owed := r.kv.Owed()[r.name(0)]
		require.Greater(t, owed, keys/2, "it has only begun")
		for n := keys - 1; n >= 0; n -= 10 {
			r.set(fmt.Sprint(n), "new")
			r.set(fmt.Sprint("fresh", n), "new")
			r.holds(0, fmt.Sprint("fresh", n), "new")
			r.holds(0, fmt.Sprint(n), "new")
			now := r.kv.Owed()[r.name(0)]
			require.LessOrEqual(t, now, owed, "what is owed only shrinks")
			owed = now
		}
		require.Positive(t, owed, "the hand-back was under way all the time")
		r.rest()
		for n := range keys {
			want := "old"
			if n%10 == 9 {
				want = "new"
			}
			r.holds(0, fmt.Sprint(n), want)
		}
	})
}

func TestHandBackAndWritesOfOneKeyNeverCross(t *testing.T) {
	inLoggedRig(t, 2, 7*time.Millisecond, nil, func(r *rig, l *writeLog) {
		for n := range 50 {
			require.NoError(t, r.kv.Drain(r.name(0)))
			r.set("k", fmt.Sprint(n, " old"))
			require.NoError(t, r.kv.Release(r.name(0)))
			time.Sleep(time.Duration(n%10) * time.Millisecond) // into the hand-back, which takes 7 ms
			r.set("k", fmt.Sprint(n, " new"))
			r.reads("k", fmt.Sprint(n, " new"))
			r.rest()
			r.holds(0, "k", fmt.Sprint(n, " new"))
		}
		require.Equal(t, 1, l.most, "one write of a key at a time")
	})
}

// A hand-back that got no answer may land on top of a newer write that did.
func TestAHandBackThatLandsLateUndoesNothing(t *testing.T) {
	inRig(t, 2, unbreakable, func(r *rig) {
		r.owe(0, "k")
		r.faults[0].ApplyLate(true)
		r.faults[0].LateBy(1500 * time.Millisecond)
		r.faults[0].Hang()
		require.NoError(t, r.kv.Release(r.name(0)))
		time.Sleep(timeout + 10*time.Millisecond)
		require.Positive(t, r.faults[0].Late(), "the hand-back lies in its buffers")
		r.faults[0].Up()
		r.activates(0)
		r.set("k", "new")
		r.holds(0, "k", "new")
		time.Sleep(3 * time.Second)
		r.reads("k", "new")
		r.rest()
		r.holds(0, "k", "new")
	})
}

// oneFreak returns a store that never takes the key "freak" and has no Limits
// that say so.
func oneFreak(kv resilient.KVWithHealth) *hooked {
	return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
		if key == "freak" {
			return resilient.ErrValueTooLarge
		}
		return kv.SetRaw(ctx, key, value)
	}}
}

func TestAValueThatOneMemberNeverTakesDoesNotStopTheRest(t *testing.T) {
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return oneFreak(kv)
		}
		return kv
	}, func(r *rig) {
		r.away(0)
		r.set("freak", "v") // the oldest
		for n := range 20 {
			r.set(fmt.Sprint(n), "v")
		}
		r.faults[0].Up()
		r.until("all others are handed back", func() bool { return r.kv.Owed()[r.name(0)] == 1 })
		for n := range 20 {
			r.holds(0, fmt.Sprint(n), "v")
		}
		time.Sleep(time.Hour)
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.activates(0)
		r.reads("freak", "v")
		require.Equal(t, "closed", r.state(0), "that says nothing against the member")
		require.NoError(t, r.kv.Delete(r.ctx, "freak"))
		r.rest()
	})
}

// What the first member of a Handoff never takes could only be owed to it for
// ever.
func TestRegression_InHandoffAStandInTakesAValueThatTheFirstMemberNeverTakes(t *testing.T) {
	inRigOf(t, 2, handoff, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return oneFreak(kv)
		}
		return kv
	}, func(r *rig) {
		err := r.kv.SetRaw(r.ctx, "freak", []byte("v"))
		require.ErrorIs(t, err, resilient.ErrValueTooLarge)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		require.Empty(t, r.kv.Owed())
		r.lacks(1, "freak")
		r.away(0)
		r.set("freak", "v") // nobody knows better
		require.Equal(t, map[string]int{r.name(0): 1}, r.kv.Owed())
		r.faults[0].Up()
	})
}

func TestAMemberIsAskedOnceToTakeAValueThatItNeverTakes(t *testing.T) {
	var asked atomic.Int64
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			asked.Add(1)
			return resilient.ErrValueTooLarge
		}}
	}, func(r *rig) {
		r.away(0)
		r.set("k", "v")
		r.back(0)
		time.Sleep(time.Hour)
		require.Equal(t, int64(1), asked.Load())
		require.ErrorContains(t, r.kv.Flush(r.ctx), "Discard")
		lost, err := r.kv.Discard(r.name(0))
		require.NoError(t, err)
		require.Equal(t, 1, lost)
		require.Empty(t, r.kv.Owed())
	})
}

func TestRegression_AMemberWhoseHandBackTimedOutIsStillTriedFirst(t *testing.T) {
	for _, detached := range []bool{false, true} {
		t.Run(fmt.Sprint("detached: ", detached), func(t *testing.T) {
			inRigOf(t, 2, unbreakable, detachedIf(detached), func(r *rig) {
				r.set("k", "v")
				r.owe(0, "owed")
				r.faults[0].HangIgnoringContext()
				require.NoError(t, r.kv.Release(r.name(0)))
				time.Sleep(timeout + timeout/10)
				require.Equal(t, r.name(1), r.kv.Active())
				require.Zero(t, took(func() { r.reads("k", "v") }))
			})
		})
	}
}
