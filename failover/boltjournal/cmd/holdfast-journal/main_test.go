package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var since = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// journal returns the path of one that owes two keys to b.
func journal(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "owed.db")
	j, err := boltjournal.Open(path, boltjournal.Config{})
	require.NoError(t, err)
	_, err = j.Open([]string{"a", "b"})
	require.NoError(t, err)
	require.NoError(t, j.Put(
		failover.Record{Key: "KEY\n1", Value: []byte("VALUE"), Owed: 2, Remove: 1, Intent: true, Seq: 1, Since: since},
		failover.Record{Key: "KEY 2", Delete: true, Owed: 2, Seq: 2, Since: since.Add(time.Second)},
		failover.Record{Key: "KEY 3", Remove: 2, Seq: 3, Since: since.Add(-time.Hour)},
	))
	require.NoError(t, j.Note("note", []byte("FACT")))
	require.NoError(t, j.Close(false))
	return path
}

// call runs the command and returns what it has printed.
func call(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	require.Equal(t, code, run(args, &out, &errs), errs.String())
	require.NotContains(t, out.String()+errs.String(), "VALUE")
	require.NotContains(t, out.String()+errs.String(), "FACT")
	return out.String(), errs.String()
}

func TestS11_ListShowsWhoIsOwedHowMuchAndNoKeys(t *testing.T) {
	out, _ := call(t, 0, "list", journal(t))
	require.Regexp(t, `(?s)^closed +not cleanly\nkeys +3\nbytes +20\nintents +1\noldest +2020-01-02T03:04:05Z\n`+
		`member a +0 writes, 1 removals\nmember b +2 writes, 1 removals\nnote +"note"\n$`, out)
	require.NotContains(t, out, "KEY")
}

func TestListShowsKeysWhenAskedTo(t *testing.T) {
	out, _ := call(t, 0, "list", "-keys", journal(t))
	require.Regexp(t, `Z  set \(intent\)  5  +b  +a  +"KEY\\n1"\n`, out)
	require.Regexp(t, `Z  delete        0  +b  +-  +"KEY 2"\n`, out)
	require.Regexp(t, `(?m)^2020-01-02T02:04:05Z  removal       0  +-  +b  +"KEY 3"$`, out)
}

func TestListOfAnEmptyJournalHasNoOldest(t *testing.T) {
	path := journal(t)
	call(t, 0, "discard", "-member", "b", path)
	call(t, 0, "discard", "-member", "a", path)
	out, _ := call(t, 0, "list", path)
	require.Contains(t, out, "keys     0")
	require.NotContains(t, out, "oldest")
}

func TestVerifyTellsAGoodJournalFromADamagedOne(t *testing.T) {
	path := journal(t)
	out, _ := call(t, 0, "verify", path)
	require.Contains(t, out, "keys 3, notes 1")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(b, []byte("VALUE"), []byte("VALUF")), 0o600))
	_, errs := call(t, 1, "verify", path)
	require.Contains(t, errs, "damaged")
	require.Contains(t, errs, path)
}

func TestDiscardGivesUpWhatAMemberIsOwed(t *testing.T) {
	path := journal(t)
	out, _ := call(t, 0, "discard", "-member", "b", path)
	require.Equal(t, "gave up 2 writes owed to b\n", out)
	out, _ = call(t, 0, "list", path)
	require.NotContains(t, out, "member b")
	require.Contains(t, out, "0 writes, 1 removals")
	_, errs := call(t, 1, "discard", "-member", "b", path)
	require.Contains(t, errs, `no member "b"`)
}

func TestAFaultyCommandLineIsExplained(t *testing.T) {
	path := journal(t)
	for _, args := range [][]string{
		{}, {"list"}, {"list", path, path}, {"show", path}, {"verify", "-keys", path}, {"discard", path}, {"discard", "-member", "b"},
	} {
		_, errs := call(t, 2, args...)
		require.Equal(t, usage, errs)
	}
	_, errs := call(t, 1, "list", filepath.Join(t.TempDir(), "absent"))
	require.Contains(t, errs, "absent")
}
