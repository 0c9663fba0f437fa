package boltjournal

import (
	"fmt"
	"io/fs"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

func TestS11_InspectReportsEverythingButValues(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		j, _ := open(t, path, Config{})
		first := time.Now()
		require.NoError(t, j.Put(failover.Record{Key: "x", Value: []byte("12345"), Owed: memberB, Remove: memberA, Intent: true, Seq: 1, Since: first}))
		time.Sleep(time.Hour)
		require.NoError(t, j.Put(failover.Record{Key: "x", Value: []byte("123"), Owed: memberB, Remove: memberA, Intent: true, Seq: 2, Since: first}))
		require.NoError(t, j.Put(failover.Record{Key: "a", Delete: true, Owed: memberA | memberB, Seq: 3, Since: time.Now()}))
		require.NoError(t, j.Note("note", []byte("1")))
		require.NoError(t, j.Close(false))
		want := Report{
			Keys: 2, Bytes: 5, Intents: 1, Oldest: first.Round(0),
			Owing: []Owing{{"a", 1, 1}, {"b", 2, 0}},
			Notes: []string{"note"},
			Records: []Entry{
				{Key: "x", Size: 3, Intent: true, Owed: []string{"b"}, Remove: []string{"a"}, Since: first.Round(0), Seq: 2},
				{Key: "a", Delete: true, Owed: []string{"a", "b"}, Since: time.Now().Round(0), Seq: 3},
			},
		}
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := Inspect(path, Config{})
		require.NoError(t, err)
		require.True(t, want.Oldest.Equal(got.Oldest))
		got.Oldest = want.Oldest
		for i := range got.Records {
			require.True(t, want.Records[i].Since.Equal(got.Records[i].Since))
			got.Records[i].Since = want.Records[i].Since
		}
		require.Equal(t, want, got)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
	require.Equal(t, []string{"journal.db"}, filesIn(t, path))
}

func TestInspectOfAnEmptyJournalHasNoOldest(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Close(true))
	r, err := Inspect(j.path, Config{})
	require.NoError(t, err)
	require.Equal(t, Report{Clean: true, Owing: []Owing{{Member: "a"}, {Member: "b"}}}, r)
}

func TestRegression_AnOldRemovalWasTheOldestWriteOwed(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(failover.Record{Key: "copy", Remove: memberB, Seq: 1, Since: time.Unix(1, 0)}))
	oldest := func() time.Time {
		require.NoError(t, j.Close(true))
		r, err := Inspect(j.path, Config{})
		require.NoError(t, err)
		return r.Oldest
	}
	require.Zero(t, oldest(), "nobody is owed a write")
	j, _ = open(t, j.path, Config{})
	for at := range 2 {
		r := set(fmt.Sprint(at), "v", 2)
		r.Since = time.Unix(int64(2+at), 0)
		require.NoError(t, j.Put(r))
	}
	require.True(t, oldest().Equal(time.Unix(2, 0)))
}

func TestInspectReportsWhatItCannotRead(t *testing.T) {
	_, err := Inspect("", Config{})
	require.ErrorContains(t, err, "empty")
	path := newPath(t)
	_, err = Inspect(path, Config{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, filesIn(t, path))
	j, _ := open(t, path, Config{})
	require.NoError(t, j.Put(set("k", "VALUE", 1)))
	_, err = Inspect(path, Config{LockTimeout: -1})
	require.ErrorContains(t, err, "somebody else has it open")
	require.NoError(t, j.Close(true))
	damage(t, path, "VALUE", 'x')
	_, err = Inspect(path, Config{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, path)
}

func TestInspectorsDoNotExcludeEachOtherButAGroup(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Close(true))
	f, err := openLocked(j.path, os.O_RDONLY, true, time.Now()) // an inspection under way
	require.NoError(t, err)
	_, err = Inspect(j.path, Config{LockTimeout: -1})
	require.NoError(t, err)
	_, err = Open(j.path, Config{LockTimeout: -1})
	require.ErrorContains(t, err, "somebody else has it open")
	require.NoError(t, f.Close())
}
