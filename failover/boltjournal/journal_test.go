package boltjournal

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestANewJournalIsCleanAndEmpty(t *testing.T) {
	j, left := open(t, newPath(t), Config{})
	require.Equal(t, failover.Recovery{Notes: map[string][]byte{}, Clean: true}, left)
	require.True(t, j.Durable())
	keys, size := j.Size()
	require.Zero(t, keys)
	require.Zero(t, size)
}

func TestWhatWasPutIsThereAfterReopeningByteForByte(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	recs := []failover.Record{
		{Key: "value", Value: []byte{0, 1, 255}, Owed: memberA | memberB, Seq: 1},
		{Key: "empty value", Value: []byte{}, Owed: memberB, Seq: 2},
		{Key: "tombstone", Delete: true, Owed: memberA, Seq: 3},
		{Key: "intent", Value: []byte("v"), Owed: memberA, Remove: memberB, Intent: true, Seq: 4},
		{Key: "removal", Remove: memberB, Seq: 5},
		{Key: "large \x00\xff", Value: bytes.Repeat([]byte("x"), 1<<20), Owed: memberA, Seq: 1 << 63},
	}
	for i := range recs {
		recs[i].Since = time.Unix(1, int64(i))
		require.NoError(t, j.Put(recs[i]))
	}
	left := reopened(t, j, true)
	require.Equal(t, recs, left.Records)
}

func TestRecordsComeBackInTheOrderInWhichTheirKeysWereFirstOwed(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	for i, key := range []string{"c", "a", "d", "b", "a"} { // a is replaced: it keeps its place
		r := set(key, "v", uint64(i))
		r.Since = time.Unix(int64(i), 0)
		if i == 4 {
			r.Since = time.Unix(1, 0)
		}
		require.NoError(t, j.Put(r))
	}
	var order []string
	for _, r := range reopened(t, j, true).Records {
		order = append(order, r.Key)
	}
	require.Equal(t, []string{"c", "a", "d", "b"}, order)
}

func TestPutReplacesAndAnEmptyRecordRemoves(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "old", 1), set("gone", "v", 2), set("kept", "v", 3)))
	require.NoError(t, j.Put(set("k", "new", 4), failover.Record{Key: "gone", Seq: 5}, failover.Record{Key: "never there", Seq: 6}))
	require.Equal(t, map[string]string{"k": "new", "kept": "v"}, keysOf(t, reopened(t, j, true).Records))
}

func TestForgetRemovesTheRecordItNamesOrAnOlderOneButNoNewerOne(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("same", "v", 5), set("older", "v", 4), set("newer", "v", 6)))
	at5 := func(key string) failover.Record { return failover.Record{Key: key, Seq: 5} }
	require.NoError(t, j.Forget(at5("same"), at5("older"), at5("newer"), at5("absent")))
	require.Equal(t, map[string]string{"newer": "v"}, keysOf(t, reopened(t, j, true).Records))
}

func TestNotesAreReplacedAndRemovedAndOutliveTheProcess(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	fact := []byte("old")
	require.NoError(t, j.Note("mine", fact))
	copy(fact, "xxx") // the journal has its own copy
	require.NoError(t, j.Note("kept", fact[:0]))
	require.NoError(t, j.Note("replaced", []byte("1")))
	require.NoError(t, j.Note("replaced", []byte("2")))
	require.NoError(t, j.Note("removed", []byte("1")))
	require.NoError(t, j.Note("removed", nil))
	require.NoError(t, j.Note("never there", nil))
	require.Equal(t, map[string][]byte{"mine": []byte("old"), "kept": {}, "replaced": []byte("2")}, reopened(t, j, true).Notes)
}

func TestOnlyACleanCloseIsClean(t *testing.T) {
	path := newPath(t)
	for _, clean := range []bool{false, true, false} {
		j, _ := open(t, path, Config{})
		require.Equal(t, clean, reopened(t, j, clean).Clean)
	}
	j, _ := open(t, path, Config{})
	require.NoError(t, j.Put(set("k", "v", 1)))
	drop(t, j)
	_, left := open(t, path, Config{})
	require.False(t, left.Clean, "it was not closed at all")
	require.Len(t, left.Records, 1)
}

func TestAGroupThatDidNotStartLeavesTheMarkAsItWas(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Close(false))
	opened, err := Open(j.path, Config{})
	require.NoError(t, err)
	require.NoError(t, opened.Close(true), "no group has opened it")
	_, left := open(t, j.path, Config{})
	require.False(t, left.Clean)
}

func TestAJournalBelongsToOneGroup(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	_, err := j.Open(names)
	require.ErrorContains(t, err, "another group")
	require.NoError(t, j.Put(set("k", "v", 1)), "the group that has it goes on")
}

func TestEveryCallBeforeAGroupHasOpenedTheJournalIsRefused(t *testing.T) {
	j, err := Open(newPath(t), Config{})
	require.NoError(t, err)
	for _, err := range []error{j.Put(set("k", "v", 1)), j.Forget(set("k", "v", 1)), j.Note("n", nil), j.Reserve(1, 1)} {
		require.ErrorIs(t, err, resilient.ErrRefused)
	}
	require.NoError(t, j.Close(true))
}

func TestEveryCallAfterCloseIsRefused(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) failover.Journal{
		"of a group": func(t *testing.T) failover.Journal { j, _ := open(t, newPath(t), Config{}); return j },
		"of no group": func(t *testing.T) failover.Journal {
			j, err := Open(newPath(t), Config{})
			require.NoError(t, err)
			return j
		},
	} {
		j := open(t)
		require.NoError(t, j.Close(true), name)
		require.NoError(t, j.Close(false), name)
		_, openErr := j.Open(names)
		for _, err := range []error{openErr, j.Put(set("k", "v", 1)), j.Forget(set("k", "v", 1)), j.Note("n", nil), j.Reserve(1, 1)} {
			require.ErrorIs(t, err, resilient.ErrRefused, name)
			require.ErrorIs(t, err, resilient.ErrClosed, name)
		}
		j.Release(1, 1)
		j.Size()
	}
}

func TestS17_ReserveKeepsToBothBounds(t *testing.T) {
	j, _ := open(t, newPath(t), Config{MaxKeys: 3, MaxBytes: 10})
	require.NoError(t, j.Put(set("k", "1234", 1))) // 5 bytes
	require.NoError(t, j.Reserve(2, 5))
	for _, full := range []error{j.Reserve(1, 0), j.Reserve(0, 1), j.Reserve(1, 1)} {
		require.ErrorIs(t, full, failover.ErrJournalFull)
		require.ErrorIs(t, full, resilient.ErrRefused)
	}
	require.NoError(t, j.Reserve(0, 0), "what needs no room is not refused")
	j.Release(1, 1)
	require.ErrorIs(t, j.Reserve(2, 0), failover.ErrJournalFull)
	require.ErrorIs(t, j.Reserve(0, 2), failover.ErrJournalFull)
	require.NoError(t, j.Reserve(1, 1))
	keys, size := j.Size()
	require.Equal(t, []int64{1, 5}, []int64{int64(keys), size}, "reservations do not count")
	j.Release(2, 5)
	require.NoError(t, j.Forget(set("k", "", 1)))
	require.NoError(t, j.Reserve(3, 10))
}

func TestBoundsThatAreLoweredRefuseOnlyWhatIsNew(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("a", "1234", 1), set("b", "1234", 2)))
	require.NoError(t, j.Close(true))
	j, left := open(t, j.path, Config{MaxKeys: 1, MaxBytes: 1})
	require.Len(t, left.Records, 2)
	require.NoError(t, j.Reserve(0, 0))
	require.ErrorIs(t, j.Reserve(1, 1), failover.ErrJournalFull)
	require.NoError(t, j.Put(set("a", "4321", 3)))
}

func TestBoundsCanBeTurnedOff(t *testing.T) {
	j, _ := open(t, newPath(t), Config{MaxKeys: -1, MaxBytes: -1})
	require.NoError(t, j.Reserve(math.MaxInt, math.MaxInt64))
}

func TestTheDefaultBoundsAreAMillionKeysAndAGibibyte(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Reserve(1_000_000, 1<<30))
	require.ErrorIs(t, j.Reserve(1, 0), failover.ErrJournalFull)
	require.ErrorIs(t, j.Reserve(0, 1), failover.ErrJournalFull)
}

func TestSizeFollowsEveryChange(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	want := func(keys int, bytes int64) {
		t.Helper()
		gotKeys, gotBytes := j.Size()
		require.Equal(t, keys, gotKeys)
		require.Equal(t, bytes, gotBytes)
	}
	require.NoError(t, j.Put(set("k", "123", 1), set("l", "1", 2)))
	want(2, 6)
	require.NoError(t, j.Put(set("k", "1", 3)))
	want(2, 4)
	require.NoError(t, j.Put(failover.Record{Key: "l", Seq: 4}))
	want(1, 2)
	require.NoError(t, j.Forget(failover.Record{Key: "k", Seq: 3}))
	want(0, 0)
	require.NoError(t, j.Put(set("k", "123", 5)))
	require.NoError(t, j.Close(true))
	j, _ = open(t, j.path, Config{})
	want(1, 4)
}

func TestWhatBoltCannotHoldIsRefusedAndLeavesTheJournalInUse(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	for _, key := range []string{"", string(make([]byte, 32769))} {
		for _, err := range []error{j.Put(set("good", "v", 1), set(key, "v", 2)), j.Note(key, []byte("f"))} {
			require.ErrorIs(t, err, resilient.ErrRefused)
		}
	}
	require.NoError(t, j.Put(set(string(bytes.Repeat([]byte("k"), 32768)), "v", 3)))
	keys, _ := j.Size()
	require.Equal(t, 1, keys, "all or none")
}

func TestAChangeThatFailsBeforeItsCommitEndsItsTransaction(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.ErrorIs(t, j.w.f.update(func(*bbolt.Tx) error { return errUnknown }), errUnknown)
	require.False(t, j.w.f.stuck)
	require.NoError(t, result(t, begin(func() error { return j.Put(set("k", "v", 1)) })))
}

func TestNothingToDoIsNoCommit(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	before := commits(t, j)
	require.NoError(t, j.Put())
	require.NoError(t, j.Forget())
	require.NoError(t, j.Put(failover.Record{Key: "absent", Seq: 1}))
	require.NoError(t, j.Forget(failover.Record{Key: "absent", Seq: 1}))
	require.Equal(t, before, commits(t, j))
}

func TestS11_NoErrorShowsAKeyOrAValue(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	long := "SECRET" + string(make([]byte, 32769))
	tooLong := j.Put(set(long, "SECRET", 1))
	require.NoError(t, j.Put(set("SECRET", "SECRET", 1)))
	require.NoError(t, j.Close(true))
	closed := j.Put(set("SECRET", "SECRET", 2))
	other, err := Open(j.path, Config{})
	require.NoError(t, err)
	_, missing := other.Open([]string{"c"})
	damage(t, j.path, "SECRET", 'x')
	_, damaged := Open(j.path, Config{})
	for _, err := range []error{tooLong, closed, missing, damaged} {
		require.Error(t, err)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestStatusSaysThatAJournalIsFullForAsLongAsWhatItRefusedDoesNotFit(t *testing.T) {
	j, _ := open(t, newPath(t), Config{MaxKeys: 1, MaxBytes: 10})
	require.Zero(t, j.Status())
	require.NoError(t, j.Put(set("k", "v", 1)))
	require.Zero(t, j.Status(), "full, and nobody was refused")
	require.ErrorIs(t, j.Reserve(1, 2), failover.ErrJournalFull)
	st := j.Status()
	require.Equal(t, resilient.JournalFull, st.State)
	require.ErrorIs(t, j.Reserve(1, 2), failover.ErrJournalFull)
	require.Equal(t, st, j.Status())
	require.NoError(t, j.Forget(set("k", "", 1)))
	require.Zero(t, j.Status())
	require.NoError(t, j.Reserve(1, 2))
	require.ErrorIs(t, j.Reserve(0, 9), failover.ErrJournalFull)
	require.Equal(t, resilient.JournalFull, j.Status().State)
	j.Release(1, 2)
	require.Zero(t, j.Status())
	require.ErrorIs(t, j.Reserve(2, 0), failover.ErrJournalFull)
	require.ErrorIs(t, j.Reserve(0, 11), failover.ErrJournalFull)
	require.Zero(t, j.Status(), "it could not hold that if it were empty")
	require.NoError(t, j.Reserve(1, 10))
	require.ErrorIs(t, j.Reserve(1, 10), failover.ErrJournalFull)
	require.Equal(t, resilient.JournalFull, j.Status().State)
	require.NoError(t, j.Close(true))
	require.Zero(t, j.Status())
}

func TestRegression_AJournalThatFillsUpAgainWasFullSinceARefusalLongAgo(t *testing.T) {
	j, _ := open(t, newPath(t), Config{MaxKeys: 1})
	require.NoError(t, j.Put(set("k", "v", 1)))
	require.ErrorIs(t, j.Reserve(1, 1), failover.ErrJournalFull)
	before := j.Status().Since
	require.NoError(t, j.Forget(set("k", "", 1)))
	require.NoError(t, j.Put(set("k", "v", 2)))
	require.Zero(t, j.Status(), "it has refused nothing since there was room")
	require.ErrorIs(t, j.Reserve(1, 1), failover.ErrJournalFull)
	require.True(t, j.Status().Since.After(before))
}
