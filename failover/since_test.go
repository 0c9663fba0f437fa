package failover_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRegression_AfterARestartTheOldestOwedWriteLooksNew(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.away(1)
		v.set("old", "1")
		owed := v.kv.Status().OldestOwed
		require.Equal(t, time.Now(), owed)
		time.Sleep(time.Minute)
		v.set("old", "2") // keeps its time
		v.set("new", "1")
		for range 2 {
			v.crash()
			time.Sleep(time.Hour)
			v.begin(mirror, 0, 1)
			require.Equal(t, 2, v.kv.Status().Owed)
			require.True(t, owed.Equal(v.kv.Status().OldestOwed), v.kv.Status().OldestOwed)
		}
		v.set("old", "3")
		require.True(t, owed.Equal(v.kv.Status().OldestOwed), "a newer version keeps it too")
	})
}

func TestAKeyThatWasHandedBackBeginsToBeOwedAnew(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(strict, 0, 1)
		v.away(1)
		v.set("k", "1")
		v.back(1)
		v.rest()
		v.away(1)
		time.Sleep(time.Hour)
		owed := time.Now()
		v.set("k", "2")
		require.Equal(t, owed, v.kv.Status().OldestOwed)
		v.crash()
		v.begin(strict, 0, 1)
		require.True(t, owed.Equal(v.kv.Status().OldestOwed))
	})
}

func TestARecordOfTheFutureIsOwedSinceTheStart(t *testing.T) {
	inLives(t, 2, func(v *lives) {
		v.begin(mirror, 0, 1)
		v.away(1)
		v.set("k", "1")
		v.crash()
		v.d.mu.Lock()
		r := v.d.recs["k"]
		r.Since = time.Now().Add(24 * time.Hour)
		v.d.recs["k"] = r
		v.d.mu.Unlock()
		began := time.Now()
		require.NoError(t, v.unready(mirror, 0, 1))
		synctest.Wait()
		require.Equal(t, began, v.kv.Status().OldestOwed)
	})
}

func TestADiscardForOneMemberLeavesSinceWhenTheOthersAreOwed(t *testing.T) {
	inLives(t, 3, func(v *lives) {
		v.begin(mirror, 0, 1, 2)
		v.faults[1].FailWrites(nil)
		v.faults[2].FailWrites(nil)
		owed := time.Now()
		v.set("k", "1")
		time.Sleep(time.Minute)
		v.discards(1, 1)
		v.crash()
		time.Sleep(time.Hour)
		v.begin(mirror, 0, 1, 2)
		require.Equal(t, map[string]int{v.name(2): 1}, v.kv.Owed())
		require.True(t, owed.Equal(v.kv.Status().OldestOwed), v.kv.Status().OldestOwed)
	})
}
