package boltjournal

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/failover"
)

// The test binary plays a series with the journal that seriesPath names, without
// syncs if there is a seriesNoSync.
const (
	seriesPath   = "BOLTJOURNAL_SERIES_PATH"
	seriesNoSync = "BOLTJOURNAL_SERIES_NOSYNC"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		crashChild(path)
		return
	}
	if dir := os.Getenv(killDir); dir != "" {
		live(dir)
		return
	}
	if path := os.Getenv(seriesPath); path != "" {
		playSeries(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// The members of most tests.
var names = []string{"a", "b"}

const (
	memberA failover.Members = 1 << iota
	memberB
	memberC
)

func newPath(tb testing.TB) string { return filepath.Join(tb.TempDir(), "journal.db") }

// open opens the journal at path for a group of a and b.
func open(tb testing.TB, path string, cfg Config) (*journal, failover.Recovery) {
	tb.Helper()
	return openFor(tb, path, cfg, names...)
}

func openFor(tb testing.TB, path string, cfg Config, names ...string) (*journal, failover.Recovery) {
	tb.Helper()
	opened, err := Open(path, cfg)
	require.NoError(tb, err)
	j := opened.(*journal)
	tb.Cleanup(func() { _ = j.Close(false) })
	left, err := j.Open(names)
	require.NoError(tb, err)
	return j, left
}

// reopened closes j and returns what the next process gets.
func reopened(tb testing.TB, j *journal, clean bool) failover.Recovery {
	tb.Helper()
	require.NoError(tb, j.Close(clean))
	next, left := open(tb, j.path, j.cfg)
	require.NoError(tb, next.Close(true))
	return left
}

// drop ends j's use of its file as the death of the process would.
func drop(tb testing.TB, j *journal) {
	tb.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	close(j.w.stop)
	<-j.w.done
	require.NoError(tb, j.w.f.close())
}

// damage puts c in the place of the first byte of each occurrence of what in
// the file at path.
func damage(tb testing.TB, path, what string, c byte) {
	tb.Helper()
	b, err := os.ReadFile(path)
	require.NoError(tb, err)
	require.Contains(tb, string(b), what)
	for at := bytes.Index(b, []byte(what)); at >= 0; at = bytes.Index(b, []byte(what)) {
		b[at] = c
	}
	require.NoError(tb, os.WriteFile(path, b, 0o600))
}

// sealedAgain puts the right checksum before what follows in b.
func sealedAgain(key, b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, checksum(string(key), b[4:])), b[4:]...)
}

// set returns a record of a value that a is owed.
func set(key, value string, seq uint64) failover.Record {
	return failover.Record{Key: key, Value: []byte(value), Owed: memberA, Seq: seq}
}

// keysOf returns the values of records by key; a tombstone is "<deleted>".
func keysOf(tb testing.TB, recs []failover.Record) map[string]string {
	tb.Helper()
	found := map[string]string{}
	for _, r := range recs {
		require.NotContains(tb, found, r.Key, "one record per key")
		found[r.Key] = string(r.Value)
		if r.Delete {
			found[r.Key] = "<deleted>"
		}
	}
	return found
}

// commits returns the number of j's last commit.
func commits(tb testing.TB, j *journal) int {
	tb.Helper()
	n, err := j.w.f.lastCommit()
	require.NoError(tb, err)
	return n
}

// begin calls fn in a goroutine and returns where its result will be.
func begin(fn func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	return done
}

func result(tb testing.TB, done <-chan error) error {
	tb.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.FailNow(tb, "the call does not return")
		return nil
	}
}
