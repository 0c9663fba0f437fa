package failover_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestAMemoryJournalIsFullFromARefusalUntilThereIsRoomForIt(t *testing.T) {
	for name, makeRoom := range map[string]func(j failover.Journal){
		"forgotten": func(j failover.Journal) { require.NoError(t, j.Forget(setRecord("k", "", 1))) },
		"removed":   func(j failover.Journal) { require.NoError(t, j.Put(failover.Record{Key: "k", Seq: 2})) },
		"released":  func(j failover.Journal) { j.Release(1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := failover.MemoryJournal(2)
				require.NoError(t, j.Put(setRecord("k", "", 1)))
				require.NoError(t, j.Reserve(1, 1))
				require.Zero(t, j.Status())
				since := time.Now()
				for range 2 {
					require.ErrorIs(t, j.Reserve(1, 0), failover.ErrJournalFull)
					require.Equal(t, resilient.JournalStatus{State: resilient.JournalFull, Since: since}, j.Status())
					time.Sleep(time.Minute)
				}
				makeRoom(j)
				require.Zero(t, j.Status())
			})
		})
	}
}

func TestAMemoryJournalIsNotFullForWhatItCouldNotHoldEmpty(t *testing.T) {
	j := failover.MemoryJournal(2)
	require.ErrorIs(t, j.Reserve(3, 0), failover.ErrJournalFull)
	require.ErrorIs(t, j.Reserve(1, 256<<20+1), failover.ErrJournalFull)
	require.Zero(t, j.Status())
	require.NoError(t, j.Reserve(1, 1))
	require.ErrorIs(t, j.Reserve(2, 256<<20), failover.ErrJournalFull)
	require.Equal(t, resilient.JournalFull, j.Status().State)

	none := failover.MemoryJournal(-1)
	require.ErrorIs(t, none.Reserve(1, 1), failover.ErrJournalFull)
	require.Equal(t, resilient.JournalFull, none.Status().State, "it holds nothing at all")
}

func TestRegression_AJournalThatFillsUpAgainWasFullSinceARefusalLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := failover.MemoryJournal(1)
		require.NoError(t, j.Put(setRecord("k", "", 1)))
		require.ErrorIs(t, j.Reserve(1, 1), failover.ErrJournalFull)
		require.NoError(t, j.Forget(setRecord("k", "", 1)))
		time.Sleep(time.Hour)
		require.NoError(t, j.Put(setRecord("k", "", 2)))
		require.Zero(t, j.Status(), "it has refused nothing since there was room")
		require.ErrorIs(t, j.Reserve(1, 1), failover.ErrJournalFull)
		require.Equal(t, time.Now(), j.Status().Since)
	})
}
