package boltjournal

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// hold begins a transaction of its own, for which the writer has to wait.
func hold(tb testing.TB, j *journal) (release func()) {
	tb.Helper()
	tx, err := j.w.f.db.Begin(true)
	require.NoError(tb, err)
	return func() { require.NoError(tb, tx.Rollback()) }
}

// waitQueued waits until n calls wait for a commit that has not begun.
func waitQueued(tb testing.TB, j *journal, n int) {
	tb.Helper()
	require.Eventually(tb, func() bool { return j.w.queued() == n }, patience, time.Millisecond)
}

// putEach begins n Puts of one record each.
func putEach(j *journal, n int) (calls []<-chan error) {
	for i := range n {
		calls = append(calls, begin(func() error { return j.Put(set(fmt.Sprint("key ", i), "v", uint64(i))) }))
	}
	return calls
}

// occupy makes the writer take a Put whose commit cannot end before release.
func occupy(tb testing.TB, j *journal) (first *change, release func()) {
	tb.Helper()
	release = hold(tb, j)
	first = &change{put: []failover.Record{set("first", "v", 1)}, done: make(chan error, 1)}
	require.NoError(tb, j.w.add(first))
	waitQueued(tb, j, 0)
	return first, release
}

func TestAHundredPutsAtOnceCostTwoCommits(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	before := commits(t, j)
	first, release := occupy(t, j)
	calls := putEach(j, 99)
	waitQueued(t, j, 99)
	release()
	for _, call := range append(calls, first.done) {
		require.NoError(t, result(t, call))
	}
	require.Equal(t, before+2, commits(t, j), "the first Put's, and that of those which came meanwhile")
	require.Len(t, reopened(t, j, true).Records, 100)
}

// all begins n Puts at once and returns how many commits they cost.
func all(t *testing.T, j *journal, n int) int {
	t.Helper()
	before := commits(t, j)
	for _, call := range putEach(j, n) {
		require.NoError(t, <-call)
	}
	return commits(t, j) - before
}

func TestCallersThatShareCommitsAreWaitedForTwoMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := open(t, newPath(t), Config{})
		defer func() { require.NoError(t, j.Close(true)) }()
		begun := time.Now()
		require.Equal(t, 1, all(t, j, 1))
		require.Equal(t, 1, all(t, j, 1))
		require.Zero(t, time.Since(begun), "one that is alone waits for nobody")

		j.w.gathered = 1000 // as if so many had shared the last commit
		require.Equal(t, 1, all(t, j, 100))
		require.Equal(t, gatherTime, time.Since(begun))
		require.Equal(t, 1, all(t, j, 100), "they are awaited now")
		require.Equal(t, gatherTime, time.Since(begun), "and no longer than they take")
		require.Equal(t, 1, all(t, j, 1))
		require.Equal(t, 2*gatherTime, time.Since(begun), "those who do not come are not waited for without end")
		require.Equal(t, 1, all(t, j, 1))
		require.Equal(t, 2*gatherTime, time.Since(begun), "nor a second time")
	})
}

func TestACommitTakes256Records(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := open(t, newPath(t), Config{})
		defer func() { require.NoError(t, j.Close(true)) }()
		j.w.gathered = 1000
		require.Equal(t, 2, all(t, j, 512), "256 each")
		require.Equal(t, 3, all(t, j, 513))
	})
}

func TestACommitTakesSixteenMebibytes(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	before := commits(t, j)
	first, release := occupy(t, j)
	var calls []<-chan error
	for i := range 5 {
		r := failover.Record{Key: fmt.Sprint("large ", i), Value: make([]byte, 6<<20), Owed: memberA, Seq: 1}
		calls = append(calls, begin(func() error { return j.Put(r) }))
	}
	waitQueued(t, j, 5)
	release()
	for _, call := range append(calls, first.done) {
		require.NoError(t, result(t, call))
	}
	require.Equal(t, before+1+3, commits(t, j), "2, 2 and 1")
}

func TestOnePutIsOneCommitWhateverItsSize(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	recs := make([]failover.Record, 1000)
	for i := range recs {
		recs[i] = failover.Record{Key: fmt.Sprint("key ", i), Value: make([]byte, 20<<10), Owed: memberA, Seq: uint64(i)}
	}
	before := commits(t, j)
	require.NoError(t, j.Put(recs...))
	require.Equal(t, before+1, commits(t, j))
}

func TestChangesOfOneKeyInOneCommitKeepTheirOrder(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("forgotten", "v", 1), set("back", "v", 2)))
	before := commits(t, j)
	first, release := occupy(t, j)
	var calls []<-chan error
	for i, call := range []func() error{
		func() error { return j.Put(set("k", "1", 10)) },
		func() error { return j.Put(set("k", "2", 11)) },
		func() error { return j.Forget(failover.Record{Key: "k", Seq: 10}) }, // late: k has been replaced
		func() error { return j.Put(set("gone", "1", 12), failover.Record{Key: "gone", Seq: 13}) },
		func() error {
			return j.Forget(failover.Record{Key: "forgotten", Seq: 1}, failover.Record{Key: "back", Seq: 2})
		},
		func() error { return j.Put(set("back", "again", 14)) },
		func() error { return j.Note("n", []byte("1")) },
		func() error { return j.Note("n", []byte("2")) },
		func() error { return j.Note("m", []byte("1")) },
		func() error { return j.Note("m", nil) },
	} {
		calls = append(calls, begin(call))
		waitQueued(t, j, i+1)
	}
	release()
	for _, call := range append(calls, first.done) {
		require.NoError(t, result(t, call))
	}
	require.Equal(t, before+2, commits(t, j))
	left := reopened(t, j, true)
	require.Equal(t, map[string]string{"first": "v", "k": "2", "back": "again"}, keysOf(t, left.Records))
	require.Equal(t, map[string][]byte{"n": []byte("2")}, left.Notes)
}

func TestCloseRefusesWhatIsQueuedAndWaitsForTheRest(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	first, release := occupy(t, j)
	call := begin(func() error { return j.Put(set("queued", "v", 2)) })
	waitQueued(t, j, 1)
	closing := begin(func() error { return j.Close(true) })
	err := result(t, call) // the commit still goes on
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, resilient.ErrClosed)
	release()
	require.NoError(t, result(t, closing))
	require.NoError(t, result(t, first.done))
	_, left := open(t, j.path, Config{})
	require.Equal(t, map[string]string{"first": "v"}, keysOf(t, left.Records))
	require.True(t, left.Clean)
}

func TestManyCallersAtOnceEachHaveWhatTheyWereTold(t *testing.T) {
	j, _ := open(t, newPath(t), Config{MaxKeys: 200, NoSync: true})
	want := make([]map[string]string, 8)
	var all sync.WaitGroup
	for g := range want {
		want[g] = map[string]string{}
		all.Go(func() {
			for i := range 200 {
				key, seq := fmt.Sprint(g, " ", i%20), uint64(i)
				if err := j.Reserve(1, 10); err != nil {
					assert.ErrorIs(t, err, failover.ErrJournalFull)
					continue
				}
				if i%3 == 2 {
					assert.NoError(t, j.Forget(failover.Record{Key: key, Seq: seq}))
					delete(want[g], key)
				} else {
					assert.NoError(t, j.Put(set(key, fmt.Sprint(i), seq)))
					want[g][key] = fmt.Sprint(i)
				}
				assert.NoError(t, j.Note(fmt.Sprint("note ", g), []byte{byte(i)}))
				j.Size()
				j.Release(1, 10)
			}
		})
	}
	all.Wait()
	together := map[string]string{}
	for _, m := range want {
		for key, value := range m {
			together[key] = value
		}
	}
	keys, _ := j.Size()
	require.Equal(t, len(together), keys)
	left := reopened(t, j, true)
	require.Equal(t, together, keysOf(t, left.Records))
	require.Len(t, left.Notes, len(want))
}

func TestRegression_AStatusWaitsForACloseThatWaitsForTheDisk(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	_, release := occupy(t, j)
	closed := begin(func() error { return j.Close(true) })
	require.Eventually(t, func() bool { return j.Reserve(1, 1) != nil }, patience, time.Millisecond) // it has begun
	require.Zero(t, j.Status())
	require.Empty(t, closed, "it waits")
	release()
	require.NoError(t, result(t, closed))
}
