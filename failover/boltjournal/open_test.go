package boltjournal

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// namesIn returns the names in the directory of path.
func namesIn(tb testing.TB, path string) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(tb, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// filesIn is namesIn for a directory of which the process must have no file
// open.
func filesIn(tb testing.TB, path string) (names []string) {
	tb.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(tb, err)
	for _, e := range fds {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil {
			require.NotEqual(tb, filepath.Dir(path), filepath.Dir(strings.TrimSuffix(target, " (deleted)")), "a descriptor is left open")
		}
	}
	return namesIn(tb, path)
}

func TestS12_OpenMakesAFileThatOnlyItsOwnerMayRead(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := newPath(t)
	for range 2 { // a file that was there has been opened up meanwhile
		j, _ := open(t, path, Config{})
		require.NoError(t, j.Close(true))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
		require.NoError(t, os.Chmod(path, 0o666))
	}
}

func TestS12_ARepairLeavesTheFileToItsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs the right to give files away (run as root)")
	}
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Close(true))
	require.NoError(t, os.Chown(j.path, 1234, 2345))
	_, err := Discard(j.path, "b", Config{})
	require.NoError(t, err)
	info, err := os.Stat(j.path)
	require.NoError(t, err)
	require.Equal(t, []uint32{1234, 2345}, []uint32{info.Sys().(*syscall.Stat_t).Uid, info.Sys().(*syscall.Stat_t).Gid})
}

func TestNothingIsWrittenBeforeAGroupOpensTheJournal(t *testing.T) {
	path := newPath(t)
	j, err := Open(path, Config{})
	require.NoError(t, err)
	require.NoFileExists(t, path)
	require.NoError(t, j.Close(true))
	require.Empty(t, filesIn(t, path))
}

func TestAJournalInUseCannotBeOpenedAgain(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	before, err := os.ReadFile(j.path)
	require.NoError(t, err)
	for _, wait := range []time.Duration{0, -1, 100 * time.Millisecond} {
		require.ErrorContains(t, result(t, begin(func() error { // a wait without end fails
			_, err := Open(j.path, Config{LockTimeout: wait})
			return err
		})), "somebody else has it open")
	}
	after, err := os.ReadFile(j.path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, j.Close(true))
	require.Equal(t, []string{"journal.db"}, filesIn(t, j.path))
}

func TestOfTwoOpenersOfANewJournalOneWins(t *testing.T) {
	path := newPath(t)
	first, err := Open(path, Config{})
	require.NoError(t, err)
	_, err = Open(path, Config{LockTimeout: -1})
	require.ErrorContains(t, err, "somebody else has it open")
	second := begin(func() error {
		j, err := Open(path, Config{LockTimeout: patience})
		if err == nil {
			err = j.Close(true)
		}
		return err
	})
	_, err = first.Open(names)
	require.NoError(t, err)
	require.NoError(t, first.Put(set("k", "v", 1)))
	require.NoError(t, first.Close(true))
	require.NoError(t, result(t, second))
	_, left := open(t, path, Config{})
	require.Len(t, left.Records, 1, "the second has not replaced the first one's file")
}

func TestS24_OpenWaitsForTheLockAsLongAsItIsTold(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "v", 1)))
	next := begin(func() error {
		next, err := Open(j.path, Config{LockTimeout: patience})
		if err == nil {
			err = next.Close(true)
		}
		return err
	})
	require.NoError(t, j.Close(true))
	require.NoError(t, result(t, next))
}

func TestS27_TheLockOfAFileThatHasBeenReplacedIsWorthNothing(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	f, err := openRegular(path, os.O_RDWR) // and then it has to wait for its lock
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, os.WriteFile(path+newSuffix, nil, 0o600))
	require.NoError(t, os.Rename(path+newSuffix, path))
	ok, err := lockAt(f, path, false)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestS24_OpenRefusesWhatIsNotARegularFile(t *testing.T) {
	dir := t.TempDir()
	target, link, fifo := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for path, words := range map[string]string{link: "symbolic link", dir: "directory", fifo: "not a regular file", "": "empty"} {
		_, err := Open(path, Config{})
		require.ErrorContains(t, err, words)
		require.ErrorContains(t, err, path)
	}
	require.ElementsMatch(t, []string{"fifo", "link"}, filesIn(t, link), "the link was not followed, nothing was made")
}

func TestS24_OpenLooksAtThePathBeforeItMakesAnything(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.Symlink("target", path))
	require.NoError(t, os.Mkdir(path+newSuffix, 0o700))
	_, err := Open(path, Config{})
	require.ErrorContains(t, err, "symbolic link")
}

func TestAFileThatAppearsBeforeTheGroupIsLeftAlone(t *testing.T) {
	path := newPath(t)
	j, err := Open(path, Config{})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = j.Open(names)
	require.ErrorIs(t, err, errReplaced)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))
	require.Equal(t, []string{"journal.db"}, filesIn(t, path))
}

func TestS24_OpenRefusesALinkInTheWayOfTheNewFile(t *testing.T) {
	path := newPath(t)
	target := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(target, path+newSuffix))
	_, err := Open(path, Config{})
	require.ErrorContains(t, err, "symbolic link")
	require.NoError(t, os.Remove(path+newSuffix))
	require.NoError(t, os.Link(target, path+newSuffix))
	j, _ := open(t, path, Config{})
	require.NoError(t, j.Close(true))
	text, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))
}

func TestOpenRefusesAndKeepsAFileThatIsNoJournal(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("mine"))
		return err
	}))
	require.NoError(t, db.Close())
	bolt, err := os.ReadFile(foreign)
	require.NoError(t, err)

	for name, c := range map[string]struct{ text, words string }{
		"bolt":    {string(bolt), "of something else"},
		"garbage": {strings.Repeat("garbage ", 4096), "no bbolt file"},
		"short":   {"x", "no bbolt file"},
		"empty":   {"", "empty"},
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		_, err := Open(path, Config{})
		require.ErrorContains(t, err, c.words)
		require.ErrorContains(t, err, path)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.text, string(text))
		require.Equal(t, []string{name}, filesIn(t, path))
	}
}

func TestOpenReportsAPathThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Open(filepath.Join(file, "below"), Config{})
	require.ErrorIs(t, err, syscall.ENOTDIR)
	_, err = Open(filepath.Join(dir, "absent", "x"), Config{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWhatADyingProcessHasBegunIsInNobodysWay(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "v", 1)))
	require.NoError(t, j.Close(true))
	require.NoError(t, os.WriteFile(j.path+newSuffix, []byte("half a file"), 0o644))
	next, left := open(t, j.path, Config{LockTimeout: -1})
	require.Len(t, left.Records, 1)
	require.NoError(t, next.Close(true))
	require.Equal(t, []string{"journal.db"}, filesIn(t, j.path))
}

// Somebody tidies up while a process has the journal open and its group is still
// to come; another process makes its own new file meanwhile.
func TestRegression_AnotherProcessesEmptyFileTookTheJournalsPlace(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("k", "v", 1)))
	require.NoError(t, j.Close(true))
	first, err := Open(j.path, Config{})
	require.NoError(t, err)
	require.NoError(t, os.Remove(j.path+newSuffix))
	second, err := newClaim(j.path, 0)
	require.NoError(t, err)

	_, err = first.Open(names)
	require.ErrorContains(t, err, "has been removed")
	require.ErrorContains(t, err, j.path)
	require.True(t, second.held(), "it is not the first one's to remove")
	second.release()
	require.Equal(t, []string{"journal.db"}, filesIn(t, j.path))
	_, left := open(t, j.path, Config{})
	require.Len(t, left.Records, 1)
}

func TestMembersAreMatchedByName(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(
		failover.Record{Key: "a's", Value: []byte("v"), Owed: memberA, Seq: 1},
		failover.Record{Key: "b's", Delete: true, Owed: memberB, Remove: memberA, Seq: 2},
	))
	require.NoError(t, j.Close(true))
	for _, group := range [][]string{{"b", "a"}, {"c", "b", "a"}, {"a", "c", "b"}, {"a", "b"}} {
		next, left := openFor(t, j.path, Config{}, group...)
		require.NoError(t, next.Close(true))
		bit := func(name string) failover.Members { return 1 << slices.Index(group, name) }
		require.Equal(t, []failover.Record{
			{Key: "a's", Value: []byte("v"), Owed: bit("a"), Seq: 1},
			{Key: "b's", Delete: true, Owed: bit("b"), Remove: bit("a"), Seq: 2},
		}, left.Records, group)
	}
}

func TestAMemberThatIsOwedNothingMayLeave(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(set("a's", "v", 1)))
	require.NoError(t, j.Close(true))
	next, left := openFor(t, j.path, Config{}, "a")
	require.Len(t, left.Records, 1)
	require.NoError(t, next.Close(true))
	_, left = openFor(t, j.path, Config{}, "x", "a")
	require.Equal(t, memberB, left.Records[0].Owed)
}

func TestAMemberThatIsOwedSomethingMustNotBeMissing(t *testing.T) {
	j, _ := open(t, newPath(t), Config{})
	require.NoError(t, j.Put(
		failover.Record{Key: "both", Value: []byte("v"), Owed: memberA | memberB, Seq: 1},
		failover.Record{Key: "version", Value: []byte("v"), Owed: memberB, Seq: 2},
		failover.Record{Key: "removal", Remove: memberB, Seq: 3},
		failover.Record{Key: "kept", Delete: true, Owed: memberA, Remove: memberB, Seq: 4},
		failover.Record{Key: "only removal is left", Value: []byte("v"), Owed: memberB, Remove: memberA, Intent: true, Seq: 5},
	))
	require.NoError(t, j.Note("n", []byte("fact")))
	require.NoError(t, j.Close(false))
	before, err := os.ReadFile(j.path)
	require.NoError(t, err)

	opened, err := Open(j.path, Config{})
	require.NoError(t, err)
	_, err = opened.Open([]string{"a", "c"})
	for _, words := range []string{j.path, `"b"`, "5 keys", "Discard"} {
		require.ErrorContains(t, err, words)
	}
	require.NotContains(t, err.Error(), `"a"`)
	after, err := os.ReadFile(j.path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.ErrorIs(t, opened.Put(set("k", "v", 9)), resilient.ErrClosed)

	_, err = Discard(j.path, "c", Config{})
	require.ErrorContains(t, err, `no member "c"`)
	lost, err := Discard(j.path, "b", Config{})
	require.NoError(t, err)
	require.Equal(t, 3, lost)
	next, left := openFor(t, j.path, Config{}, "a", "c")
	require.False(t, left.Clean, "the mark stays")
	require.Equal(t, map[string][]byte{"n": []byte("fact"), "incomplete: b": {1}}, left.Notes)
	require.Equal(t, []failover.Record{
		{Key: "both", Value: []byte("v"), Owed: memberA, Seq: 1},
		{Key: "kept", Delete: true, Owed: memberA, Seq: 4},
		{Key: "only removal is left", Remove: memberA, Seq: 5},
	}, left.Records)
	require.NoError(t, next.Close(true))
	_, err = Discard(j.path, "c", Config{})
	require.NoError(t, err)
	_, left = openFor(t, j.path, Config{}, "a")
	require.True(t, left.Clean)
}

func TestDiscardIsForAJournalThatIsThereAndNotInUse(t *testing.T) {
	path := newPath(t)
	_, err := Discard(path, "b", Config{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, filesIn(t, path))
	j, _ := open(t, path, Config{})
	_, err = Discard(path, "b", Config{LockTimeout: -1})
	require.ErrorContains(t, err, "somebody else has it open")
	require.NoError(t, j.Put(set("k", "v", 1)))
}

func TestAGroupOfSixtyFourMembersHasABitForEach(t *testing.T) {
	var group []string
	for i := range 64 {
		group = append(group, fmt.Sprint("member ", i))
	}
	j, _ := openFor(t, newPath(t), Config{}, group...)
	require.NoError(t, j.Put(failover.Record{Key: "k", Owed: ^failover.Members(0), Seq: 1, Value: []byte{}}))
	require.NoError(t, j.Close(true))
	slices.Reverse(group)
	_, left := openFor(t, j.path, Config{}, group...)
	require.Equal(t, 64, left.Records[0].Owed.Len())
}
