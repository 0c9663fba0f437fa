package boltjournal

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// divert makes the descriptor of j's file lead to another file, until back is
// called or the file is closed; its mapping, from which bbolt reads, stays.
func divert(tb testing.TB, j *journal, to string) (back func()) {
	tb.Helper()
	file := j.w.f.f
	other, err := os.OpenFile(to, os.O_RDWR, 0)
	require.NoError(tb, err)
	kept, err := unix.Dup(int(file.Fd()))
	require.NoError(tb, err)
	require.NoError(tb, unix.Dup3(int(other.Fd()), int(file.Fd()), 0))
	require.NoError(tb, other.Close())
	tb.Cleanup(func() { require.NoError(tb, unix.Close(kept)) })
	conn, err := file.SyscallConn()
	require.NoError(tb, err)
	return func() { // unlike Fd, Control may run beside a Close of the file
		var dup error
		require.NoError(tb, conn.Control(func(fd uintptr) { dup = unix.Dup3(kept, int(fd), 0) }))
		require.NoError(tb, dup)
	}
}

// spare gives the file of j free pages, so that a commit does not begin with
// making it longer.
func spare(tb testing.TB, j *journal) {
	tb.Helper()
	require.NoError(tb, j.Put(failover.Record{Key: "spare", Value: make([]byte, 256<<10), Owed: memberA, Seq: 1}))
	require.NoError(tb, j.Forget(failover.Record{Key: "spare", Seq: 1}))
	require.NoError(tb, j.Put(set("k", "old", 1)))
}

// block puts something in the way of a new file for j.
func block(tb testing.TB, j *journal) (unblock func()) {
	tb.Helper()
	require.NoError(tb, os.Mkdir(j.path+newSuffix, 0o700))
	return func() { require.NoError(tb, os.Remove(j.path+newSuffix)) }
}

// wantRefused wants every change refused.
func wantRefused(tb testing.TB, j *journal, cause error) {
	tb.Helper()
	for _, err := range []error{j.Put(set("k", "refused", 3)), j.Forget(set("k", "", 9)), j.Note("n", []byte("refused"))} {
		require.ErrorIs(tb, err, resilient.ErrRefused)
		require.ErrorIs(tb, err, cause)
		require.ErrorContains(tb, err, j.path)
	}
}

func TestAFullDiskRefusesAndHarmsNothing(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	spare(t, j)
	before := j.w.f
	back := divert(t, j, "/dev/full")
	wantRefused(t, j, syscall.ENOSPC)
	st := j.Status()
	require.Equal(t, resilient.JournalRefusing, st.State)
	require.ErrorIs(t, st.Err, syscall.ENOSPC)
	require.NotZero(t, st.Since)
	back()
	require.NoError(t, j.Put(set("l", "new", 3)))
	require.Zero(t, j.Status())
	require.Same(t, before, j.w.f, "it goes on with the file it has")
	left := reopened(t, j, true)
	require.Equal(t, map[string]string{"k": "old", "l": "new"}, keysOf(t, left.Records))
	require.Empty(t, left.Notes)
}

func TestAFailedSyncLeadsToANewFileAndServiceGoesOn(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	spare(t, j)
	fact := []byte("fact")
	require.NoError(t, j.Note("n", fact))
	copy(fact, "xxxx") // the journal has its own copy
	before := j.w.f.info
	divert(t, j, "/dev/null") // takes every write and cannot sync
	err := j.Put(set("k", "doubtful", 2))
	require.ErrorIs(t, err, syscall.EINVAL)
	require.NotErrorIs(t, err, resilient.ErrRefused, "it may be durable")
	require.Eventually(t, func() bool { return j.Put(set("l", "new", 3)) == nil }, patience, time.Millisecond)
	require.False(t, isAt(before, j.path))
	left := reopened(t, j, true)
	require.Equal(t, map[string]string{"k": "old", "l": "new"}, keysOf(t, left.Records))
	require.Equal(t, map[string][]byte{"n": []byte("fact")}, left.Notes)
	require.True(t, left.Clean)
}

func TestOnlyALackOfSpaceThatLeftNoTraceIsARefusal(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	n := commits(t, j)
	require.True(t, j.w.undone(syscall.ENOSPC, n+1))
	require.False(t, j.w.undone(syscall.ENOSPC, n), "the file shows it")
	require.False(t, j.w.undone(syscall.EIO, n+1))
}

func TestWhileNoNewFileCanBeMadeEveryChangeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := open(t, newPath(t), Config{})
		defer func() { require.NoError(t, j.Close(true)) }()
		spare(t, j)
		unblock := block(t, j)
		divert(t, j, "/dev/null")
		since := time.Now()
		require.ErrorIs(t, j.Put(set("k", "doubtful", 2)), syscall.EINVAL)
		for range 3 {
			wantRefused(t, j, syscall.EINVAL)
			time.Sleep(time.Minute)
			st := j.Status()
			require.Equal(t, resilient.JournalRecovering, st.State)
			require.Equal(t, since, st.Since)
			require.Error(t, st.Err)
		}
		require.NoError(t, j.Reserve(1, 1), "whether there is room has nothing to do with it")
		j.Release(1, 1)
		unblock()
		time.Sleep(maxMendPause)
		synctest.Wait()
		require.Zero(t, j.Status())
		require.NoError(t, j.Put(set("l", "new", 3)))
		require.Equal(t, map[string]string{"k": "old", "l": "new"}, keysOf(t, reopened(t, j, true).Records))
	})
}

func TestWhatIsQueuedWhenACommitFailsIsRefused(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	spare(t, j)
	unblock := block(t, j)
	first, release := occupy(t, j)
	queued := begin(func() error { return j.Put(set("queued", "v", 2)) })
	waitQueued(t, j, 1)
	divert(t, j, "/dev/null")
	release()
	require.NotErrorIs(t, result(t, first.done), resilient.ErrRefused)
	require.ErrorIs(t, result(t, queued), resilient.ErrRefused)
	unblock()
}

func TestCloseOfAJournalThatFailedMakesOneMoreAttempt(t *testing.T) {
	for _, possible := range []bool{true, false} {
		j, _ := open(t, newPath(t), Config{})
		spare(t, j)
		unblock := block(t, j)
		back := divert(t, j, "/dev/null")
		require.Error(t, j.Put(set("k", "doubtful", 2)))
		wantRefused(t, j, syscall.EINVAL)
		back()
		if possible {
			unblock()
		}
		err := j.Close(true)
		if !possible {
			require.ErrorContains(t, err, j.path)
			require.ErrorContains(t, j.Close(true), j.path)
			unblock()
		} else {
			require.NoError(t, err)
		}
		_, left := open(t, j.path, Config{})
		require.Equal(t, map[string]string{"k": "old"}, keysOf(t, left.Records))
		require.Equal(t, possible, left.Clean)
	}
}

func TestS27_AFileThatIsDeletedIsMadeAnew(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "old", 1)))
	require.NoError(t, os.Remove(j.path))
	err := j.Put(set("l", "refused", 2))
	require.ErrorIs(t, err, resilient.ErrRefused, "a deleted file would be gone with the process")
	require.Eventually(t, func() bool { return j.Put(set("m", "new", 3)) == nil }, patience, time.Millisecond)
	drop(t, j)
	_, left := open(t, j.path, Config{})
	require.Equal(t, map[string]string{"k": "old", "m": "new"}, keysOf(t, left.Records))
}

func TestS27_AFileThatSomebodyElsePutThereIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := open(t, newPath(t), Config{})
		defer func() { require.NoError(t, j.Close(true)) }()
		require.NoError(t, j.Put(set("k", "old", 1)))
		require.NoError(t, os.Rename(j.path, j.path+".moved"))
		require.NoError(t, os.WriteFile(j.path, []byte("precious"), 0o600))
		for range 3 {
			wantRefused(t, j, errGone)
			time.Sleep(time.Minute)
		}
		text, err := os.ReadFile(j.path)
		require.NoError(t, err)
		require.Equal(t, "precious", string(text))
		require.NoError(t, os.Rename(j.path+".moved", j.path))
		time.Sleep(maxMendPause)
		synctest.Wait()
		require.NoError(t, j.Put(set("l", "new", 2)))
		require.Equal(t, map[string]string{"k": "old", "l": "new"}, keysOf(t, reopened(t, j, true).Records))
	})
}

func TestAFileCutShortUnderAJournalDoesNotEndTheProcess(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	want := map[string]string{}
	for i := range 100 {
		r := failover.Record{Key: fmt.Sprint("key ", i), Value: []byte(fmt.Sprint(i)), Owed: memberA, Seq: 1}
		r.Value = append(r.Value, make([]byte, 4<<10)...)
		want[r.Key] = string(r.Value)
		require.NoError(t, j.Put(r))
	}
	require.NoError(t, os.Truncate(j.path, 8<<10)) // reading behind the end of a mapped file is a fault
	err := j.Put(set("key 50", "doubtful", 2))
	require.Error(t, err)
	require.Eventually(t, func() bool { return j.Put(set("new", "v", 3)) == nil }, patience, time.Millisecond)
	want["new"] = "v"
	require.Equal(t, want, keysOf(t, reopened(t, j, true).Records))
}

func TestAFileWithoutRecordsThatIsLargeIsReplaced(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	before := j.w.f
	large := failover.Record{Key: "large", Value: make([]byte, shrinkAt), Owed: memberA, Seq: 1}
	require.NoError(t, j.Put(large, set("kept", "v", 2)))
	require.NoError(t, j.Note("n", []byte("fact")))
	require.NoError(t, j.Forget(large))
	require.Same(t, before, j.w.f, "it has a record")
	require.NoError(t, j.Forget(set("kept", "", 2)))
	require.Eventually(t, func() bool {
		info, err := os.Stat(j.path)
		return err == nil && info.Size() < 1<<20
	}, patience, time.Millisecond)
	require.NoError(t, j.Put(set("k", "v", 3)))
	drop(t, j)
	require.Equal(t, []string{"journal.db"}, filesIn(t, j.path))
	_, left := open(t, j.path, Config{})
	require.Equal(t, map[string]string{"k": "v"}, keysOf(t, left.Records))
	require.Equal(t, map[string][]byte{"n": []byte("fact")}, left.Notes)
	require.False(t, left.Clean)
}

// smallDisk mounts a file system of size bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Skipf("a full disk needs the right to mount a tmpfs (run as root): %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestADiskThatFillsUpLosesNothingAndHealsWhenThereIsSpace(t *testing.T) {
	dir := smallDisk(t, 12<<20)
	path, ballast := filepath.Join(dir, "journal.db"), filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 9<<20), 0o600))
	j, _ := open(t, path, Config{})
	acked := map[string]string{}
	value := string(make([]byte, 64<<10))
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000)
		if err = j.Put(set(fmt.Sprint("key ", i), value, uint64(i))); err == nil {
			acked[fmt.Sprint("key ", i)] = value
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, err, resilient.ErrRefused)

	// A failed sync on top: there is no room for a new file either.
	divert(t, j, "/dev/null")
	err = j.Forget(set("key 0", "", 0))
	require.Error(t, err)
	require.NotErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, j.Put(set("refused", "v", 1)), resilient.ErrRefused)
	require.NoError(t, os.Remove(ballast))
	require.Eventually(t, func() bool { return j.Put(set("after", value, 1)) == nil }, patience, time.Millisecond)
	acked["after"] = value
	require.NoError(t, j.Close(true))
	require.Equal(t, []string{"journal.db"}, namesIn(t, path))

	// The next process cannot begin without room, and takes nothing away.
	require.ErrorIs(t, os.WriteFile(ballast, make([]byte, 9<<20), 0o600), syscall.ENOSPC)
	next, err := Open(path, Config{})
	require.NoError(t, err)
	_, err = next.Open(names)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, path)
	require.NoError(t, os.Remove(ballast))
	last, left := open(t, path, Config{})
	require.Equal(t, acked, keysOf(t, left.Records))
	require.True(t, left.Clean)
	require.NoError(t, last.Close(true)) // before the disk is taken away
}
