package failover_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// roomJournal knows for how much room it was asked last.
type roomJournal struct {
	failover.Journal
	keys  int
	bytes int64
	torn  error // of Put, which changes nothing then
	keeps error // of Forget, which forgets nothing then
}

func (j *roomJournal) Put(recs ...failover.Record) error {
	if j.torn != nil {
		return j.torn
	}
	return j.Journal.Put(recs...)
}

func (j *roomJournal) Forget(recs ...failover.Record) error {
	if j.keeps != nil {
		return j.keeps
	}
	return j.Journal.Forget(recs...)
}

func (j *roomJournal) Reserve(keys int, bytes int64) error {
	j.keys, j.bytes = keys, bytes
	return j.Journal.Reserve(keys, bytes)
}

// wants checks what the latest write has reserved.
func (j *roomJournal) wants(t *testing.T, keys int, bytes int64) {
	t.Helper()
	require.Equal(t, []any{keys, bytes}, []any{j.keys, j.bytes})
}

func inRoom(t *testing.T, test func(r *rig, j *roomJournal)) {
	j := &roomJournal{Journal: &durable{Journal: failover.MemoryJournal(0)}}
	inRig(t, 2, both(handoff, func(cfg *failover.Config) { cfg.Journal = j }), func(r *rig) { test(r, j) })
}

func TestRegression_AWriteReservesRoomForItsKeyAndNoneForItsValue(t *testing.T) {
	inRoom(t, func(r *rig, j *roomJournal) {
		r.set("k", strings.Repeat("v", 1000))
		j.wants(t, 1, 1001)
		require.NoError(t, r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": []byte("12"), "bc": []byte("3")}))
		j.wants(t, 2, 6)
		require.NoError(t, r.kv.Delete(r.ctx, "bc"))
		j.wants(t, 1, 2)
	})
}

func TestRegression_AFullMemoryJournalRefusesAWriteThatNeedsNoRoom(t *testing.T) {
	j := failover.MemoryJournal(1)
	require.NoError(t, j.Put(setRecord("a", "1", 1), setRecord("b", "1", 2))) // more than was reserved
	require.NoError(t, j.Reserve(0, 0))
	require.ErrorIs(t, j.Reserve(1, 0), failover.ErrJournalFull)
}

func TestAWriteOfAnOwedKeyReservesWhatItTakesMore(t *testing.T) {
	inRoom(t, func(r *rig, j *roomJournal) {
		r.away(0)
		r.set("k", "123")
		r.set("k", "12345")
		j.wants(t, 0, 2)
		r.set("k", "1")
		j.wants(t, 0, 0)
		r.back(0)
	})
}

func TestRegression_AfterADiscardTheNextWriteOfTheKeyReservesTooLittle(t *testing.T) {
	inRoom(t, func(r *rig, j *roomJournal) {
		r.away(0)
		r.set("k", "123")
		r.discards(0, 1)
		wantSize(t, j, 1, 1) // the copy at the second is to be removed
		r.set("k", "123")
		j.wants(t, 0, 3)
		r.back(0)
	})
}

// While a record is being forgotten it may be gone already, and others in its
// place.
func TestRegression_AWriteOfAKeyThatIsBeingForgottenReservesTooLittle(t *testing.T) {
	for name, idle := range map[string]func(r *rig){
		"handed back": func(r *rig) {
			r.faults[0].Up()
			r.settled()
		},
		"discarded": func(r *rig) {
			r.discards(0, 1)
			r.settled()
		},
		"taken back": func(r *rig) {
			r.faults[0].Up()
			r.settled()
			r.faults[0].FailWrites(nil)
			r.faults[1].FailWrites(nil)
			require.ErrorIs(r.t, r.kv.SetRaw(r.ctx, "k", []byte("12345")), resilient.ErrRefused)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *rig, j *roomJournal) {
				r.faults[0].FailWrites(nil)
				r.set("k", "123")
				j.keeps = resilient.ErrRefused
				idle(r)
				r.faults[0].Up()
				r.set("k", "123")
				j.wants(t, 1, 4)
			})
		})
	}
}

func TestRegression_AWriteOfAKeyWhoseRecordMayNotBeThereReservesTooLittle(t *testing.T) {
	inRoom(t, func(r *rig, j *roomJournal) {
		r.faults[0].AckLost(1)
		r.faults[1].FailWrites(nil)
		j.torn = errors.New("torn")
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("123")), resilient.ErrAmbiguous)
		wantSize(t, j, 0, 0)
		j.torn = nil
		r.set("k", "12")
		j.wants(t, 1, 3)
		wantSize(t, j, 1, 3)
	})
}

func TestAWriteThatIsTakenBackLeavesTheRoomOfTheRecordBefore(t *testing.T) {
	inRoom(t, func(r *rig, j *roomJournal) {
		r.faults[0].FailWrites(nil)
		r.set("k", "123")
		r.faults[1].FailWrites(nil)
		require.ErrorIs(t, r.kv.SetRaw(r.ctx, "k", []byte("12345")), resilient.ErrRefused)
		j.wants(t, 0, 2)
		wantSize(t, j, 1, 4)
		r.faults[1].Up()
		r.set("k", "1234")
		j.wants(t, 0, 1)
	})
}
