package failover_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// roomJournal knows for how much room it was asked last.
type roomJournal struct {
	failover.Journal
	keys  int
	bytes int64
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
	j := &roomJournal{Journal: failover.MemoryJournal(0)}
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
