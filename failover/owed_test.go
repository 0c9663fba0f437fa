package failover_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestEveryOwedWriteIsToldOncePerMember(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		r.faults[0].Down()
		r.faults[2].Down()
		r.set("a", "1")
		require.NoError(t, r.kv.Delete(r.ctx, "b"))
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"c": nil, "d": nil}))
		require.NoError(t, r.kv.BatchDelete(r.ctx, []string{"e", "f", "g"}))
		var told []string
		for _, e := range r.events.Of(resilient.KindOwed) {
			require.Equal(t, "failover", e.Group)
			told = append(told, fmt.Sprint(e.Store, " ", e.Op, " ", e.Count))
		}
		require.Equal(t, []string{
			"mem set 1", "mem-3 set 1", "mem delete 1", "mem-3 delete 1",
			"mem batch-set 2", "mem-3 batch-set 2", "mem batch-delete 3", "mem-3 batch-delete 3",
		}, told)
	})
}

func TestAHandBackPassTellsHowManyItHandedBackAndHowOldTheRestIs(t *testing.T) {
	inRigOf(t, 2, nil, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i == 0 {
			return oneFreak(kv)
		}
		return kv
	}, func(r *rig) {
		r.away(0)
		owed := time.Now()
		r.set("freak", "v")
		time.Sleep(time.Minute)
		for n := range 10 {
			r.set(fmt.Sprint(n), "v")
		}
		r.faults[0].Up()
		r.until("all others are handed back", func() bool { return r.kv.Owed()[r.name(0)] == 1 })
		synctest.Wait()
		handed := 0
		for _, e := range r.events.Of(resilient.KindHandedBack) {
			require.Equal(t, r.name(0), e.Store)
			require.Equal(t, "failover", e.Group)
			require.ErrorContains(t, e.Err, "does not take")
			require.Equal(t, e.Time.Sub(owed), e.Age)
			handed += e.Count
		}
		require.Equal(t, 10, handed)
		require.NoError(t, r.kv.Delete(r.ctx, "freak"))
		r.away(0)
		r.set("k", "v")
		r.faults[0].Up()
		r.rest()
		synctest.Wait()
		last := r.last(resilient.KindHandedBack, func(resilient.Event) bool { return true })
		require.Equal(t, 1, last.Count)
		require.Zero(t, last.Age, "nothing is left")
	})
}

func TestAPassThatStopsHalfWaySaysWhy(t *testing.T) {
	torn := errors.New("torn")
	var sets, most int
	var mu sync.Mutex // guards both
	inRigOf(t, 2, unbreakable, func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth {
		if i != 0 {
			return kv
		}
		return &hooked{KVWithHealth: kv, set: func(ctx context.Context, key string, value []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if sets++; sets > most {
				return torn
			}
			return kv.SetRaw(ctx, key, value)
		}}
	}, func(r *rig) {
		require.NoError(t, r.kv.Drain(r.name(0)))
		for n := range 30 {
			r.set(fmt.Sprint(n), "v")
		}
		mu.Lock()
		sets, most = 0, 10
		mu.Unlock()
		require.NoError(t, r.kv.Release(r.name(0)))
		synctest.Wait()
		first := r.events.Of(resilient.KindHandedBack)
		require.Len(t, first, 1)
		require.Equal(t, 10, first[0].Count)
		require.ErrorIs(t, first[0].Err, torn)
		mu.Lock()
		most = 1000
		mu.Unlock()
		r.rest()
	})
}

func TestWhatIsOwedIsCountedInKeysAndBytesPerMember(t *testing.T) {
	inRig(t, 3, nil, func(r *rig) {
		owed := func() (st resilient.Status) {
			st = r.kv.Status()
			perMember := map[string]int{}
			for _, m := range st.Members {
				if m.Owed > 0 {
					perMember[m.Name] = m.Owed
				}
			}
			require.Equal(t, r.kv.Owed(), perMember)
			return st
		}
		r.set("before", "1")
		st := owed()
		require.Zero(t, st.Owed)
		require.Zero(t, st.OwedBytes)
		require.True(t, st.OldestOwed.IsZero())

		r.away(0)
		first := time.Now()
		r.set("aa", "1234")
		time.Sleep(time.Second)
		second := time.Now()
		r.away(2)
		r.set("bb", "12345678")
		r.set("aa", "12") // replaces what was owed, not its age
		require.NoError(t, r.kv.Delete(r.ctx, "before"))
		st = owed()
		require.Equal(t, map[string]int{r.name(0): 3, r.name(2): 3}, r.kv.Owed())
		require.Equal(t, 3, st.Owed)
		require.Equal(t, int64(2+2+2+8+6), st.OwedBytes)
		require.Equal(t, first, st.OldestOwed)
		require.True(t, second.After(first))

		r.faults[0].Up()
		r.until("one has it all", func() bool { return r.kv.Owed()[r.name(0)] == 0 })
		st = owed()
		require.Equal(t, map[string]int{r.name(2): 3}, r.kv.Owed())
		require.Equal(t, 3, st.Owed, "they are still owed to the other")
		require.Equal(t, first, st.OldestOwed)
		r.faults[2].Up()
		r.rest()
		st = owed()
		require.Zero(t, st.Owed)
		require.Zero(t, st.OwedBytes)
		require.True(t, st.OldestOwed.IsZero())
	})
}

func TestWithAFullJournalNothingChanges(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(3) }, func(r *rig) {
		r.set("old", "1")
		r.away(0)
		r.set("a", "1")
		r.set("b", "1")
		sent := r.faults[1].Calls()
		for what, write := range map[string]func() error{
			"a batch that fits in part":  func() error { return r.kv.BatchSetRaw(r.ctx, map[string][]byte{"old": nil, "c": nil}) },
			"a batch delete":             func() error { return r.kv.BatchDelete(r.ctx, []string{"old", "c"}) },
			"a batch that has old parts": func() error { return r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "c": nil, "d": nil}) },
		} {
			err := write()
			require.ErrorIs(t, err, failover.ErrJournalFull, what)
			require.ErrorIs(t, err, resilient.ErrRefused, what)
			require.NotErrorIs(t, err, resilient.ErrAmbiguous, what)
		}
		require.Equal(t, sent, r.faults[1].Calls(), "nothing was sent")
		require.Equal(t, map[string]int{r.name(0): 2}, r.kv.Owed())
		r.reads("old", "1")
		r.reads("a", "1")
		r.set("c", "1") // the third
		require.ErrorIs(t, r.kv.Delete(r.ctx, "old"), failover.ErrJournalFull)
		require.NoError(t, r.kv.Delete(r.ctx, "a"), "it has its place")
		require.Equal(t, sent+3, r.faults[1].Calls(), "read old, set c, delete a")

		r.faults[0].Up()
		r.rest()
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"d": nil, "e": nil, "f": nil}), "there is room again")
		r.holds(0, "old", "1")
		r.lacks(0, "a")
	})
}

// Every write reserves its place, and gives it back however it ends.
func TestAWriteGivesItsPlaceInTheJournalBack(t *testing.T) {
	inRig(t, 2, both(unbreakable, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(2) }), func(r *rig) {
		again := func(what string, write func(n int)) {
			for n := range 10 {
				write(n)
			}
			r.rest()
			require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"x": nil, "y": nil}), what)
		}
		again("acknowledged by all", func(n int) { r.set(fmt.Sprint(n), "v") })
		again("refused by all", func(n int) {
			r.faults[0].FailWrites(nil)
			r.faults[1].FailWrites(nil)
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, fmt.Sprint(n), nil), resilient.ErrRefused)
			r.faults[0].Up()
			r.faults[1].Up()
		})
		again("left by its caller", func(n int) {
			r.faults[0].Latency(200 * time.Millisecond)
			r.faults[1].Latency(200 * time.Millisecond)
			ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, r.kv.SetRaw(ctx, fmt.Sprint(n), nil), context.DeadlineExceeded)
			time.Sleep(time.Second)
			r.faults[0].Up()
			r.faults[1].Up()
		})
		again("ambiguous everywhere", func(n int) {
			r.faults[0].AckLost(1)
			r.faults[1].AckLost(1)
			require.ErrorIs(t, r.kv.SetRaw(r.ctx, fmt.Sprint(n), nil), resilient.ErrAmbiguous)
			r.rest()
		})
	})
}

func TestAJournalWithoutRoomTakesNoWrite(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = failover.MemoryJournal(-1) }, func(r *rig) {
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", nil), failover.ErrJournalFull)
		_, err := r.kv.GetRaw(r.ctx, "k")
		require.ErrorIs(t, err, resilient.ErrNotFound)
	})
}

// slowJournal takes its time for each record.
type slowJournal struct {
	failover.Journal
	takes time.Duration
}

func (j slowJournal) Put(recs ...failover.Record) error {
	time.Sleep(j.takes)
	return j.Journal.Put(recs...)
}

func TestAnOwedEventSaysHowLongTheJournalTook(t *testing.T) {
	inRig(t, 2, func(cfg *failover.Config) {
		cfg.Journal = slowJournal{failover.MemoryJournal(0), 7 * time.Millisecond}
	}, func(r *rig) {
		r.away(0)
		r.set("k", "1")
		owed := r.last(resilient.KindOwed, func(resilient.Event) bool { return true })
		require.Equal(t, 7*time.Millisecond, owed.Duration)
	})
}

func TestRegression_AnOwedEventCountsKeysOfABatchThatTheMemberHas(t *testing.T) {
	inRig(t, 3, unbreakable, func(r *rig) {
		r.faults[0].AckLost(1)
		r.set("a", "1") // may land late at the first member, on top of what follows
		r.faults[2].FailWrites(nil)
		r.events.Reset()
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "b": nil, "c": nil}))
		told := map[string]int{}
		for _, e := range r.events.Of(resilient.KindOwed) {
			told[e.Store] += e.Count
		}
		require.Equal(t, map[string]int{r.name(0): 1, r.name(2): 3}, told)
		require.Equal(t, r.kv.Owed(), told)
	})
}
