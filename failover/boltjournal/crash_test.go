package boltjournal

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// The test binary is a child that is going to be killed if this names a
// journal; crashRound is the number of the round.
const (
	crashPath  = "BOLTJOURNAL_CRASH_PATH"
	crashRound = "BOLTJOURNAL_CRASH_ROUND"
)

const (
	crashWriters = 4
	crashKeys    = 20 // of each writer
)

// crashChild writes without pause until it is killed. It says on standard
// output what it is about to do (T) and what it was told is done (A): writer,
// number, key and what the key then holds. Every so often it closes the
// journal and opens it again.
func crashChild(path string) {
	die := func(err error) {
		if err != nil {
			fmt.Println("E", err)
			os.Exit(1)
		}
	}
	var out sync.Mutex
	say := func(line string) {
		out.Lock()
		defer out.Unlock()
		_, _ = io.WriteString(os.Stdout, line)
	}
	round := os.Getenv(crashRound)
	for life := 0; ; life++ {
		opened, err := Open(path, Config{})
		die(err)
		_, err = opened.Open(names)
		die(err)
		var all sync.WaitGroup
		for w := range crashWriters {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(w)))
			all.Go(func() {
				for n := range 10 {
					key := fmt.Sprintf("%d.%d", w, rng.IntN(crashKeys))
					seq := uint64(time.Now().UnixNano())
					value := fmt.Sprintf("%s.%d.%d", round, life, n)
					change := func() error { return opened.Put(set(key, padded(value), seq)) }
					if rng.IntN(4) == 0 {
						value = "-"
						change = func() error { return opened.Forget(failover.Record{Key: key, Seq: seq}) }
					}
					say(fmt.Sprintf("T %d %s %s\n", w, key, value))
					die(change())
					say(fmt.Sprintf("A %d %s %s\n", w, key, value))
				}
			})
		}
		all.Wait()
		say("C\n") // closing and opening from here on
		die(opened.Close(true))
	}
}

// padded makes records of several pages out of some values.
func padded(value string) string {
	if len(value)%3 == 0 {
		return value + strings.Repeat(" ", 6<<10)
	}
	return value
}

// told is what a crashed child has said of one key.
type told struct {
	acked string // what it holds for certain; "-" = nothing
	tried string // what it may hold instead; "" = nothing is under way
}

// listen notes what a child says until it is dead. It returns what was going
// on then.
func listen(t *testing.T, r io.Reader, keys map[string]told, writes, closes func()) (inCommit, between bool) {
	underWay := map[string]string{} // writer to key
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 0:
		case f[0] == "C":
			between = true
			closes()
		case f[0] == "E":
			t.Error(lines.Text())
		case len(f) != 4:
			t.Error("half a line: ", lines.Text())
		case f[0] == "T":
			between = false
			underWay[f[1]] = f[2]
			keys[f[2]] = told{keys[f[2]].acked, f[3]}
			writes()
		case f[0] == "A":
			delete(underWay, f[1])
			keys[f[2]] = told{acked: f[3]}
		}
	}
	return len(underWay) > 0, between
}

func TestAKilledProcessLosesNothingAcknowledgedAndInventsNothing(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 10
	}
	path := newPath(t)
	keys := map[string]told{}
	acked, inCommit, between := 0, 0, 0
	for round := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashPath+"="+path, fmt.Sprint(crashRound, "=", round))
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var once sync.Once
		within := func(d time.Duration) func() {
			return func() {
				once.Do(func() { time.AfterFunc(rand.N(d), func() { assert.NoError(t, cmd.Process.Signal(syscall.SIGKILL)) }) })
			}
		}
		writes, closes := within(60*time.Millisecond), func() {}
		if round%4 == 3 {
			writes, closes = closes, within(time.Millisecond)
		}
		in, gap := listen(t, out, keys, writes, closes)
		require.Error(t, cmd.Wait())
		require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
		if in {
			inCommit++
		}
		if gap {
			between++
		}

		found := map[string]string{}
		for range 2 { // opening it makes a file anew, which must be as good
			j, left := open(t, path, Config{})
			found = keysOf(t, left.Records)
			for key := range found {
				require.Contains(t, keys, key, "invented")
			}
			require.NoError(t, j.Close(true))
		}
		for key, k := range keys {
			held := strings.TrimSpace(found[key])
			if held == "" {
				held = "-"
			}
			if k.acked == "" {
				k.acked = "-"
			}
			if held != k.tried {
				require.Equal(t, k.acked, held, "%s: acknowledged %s, tried %q", key, k.acked, k.tried)
			}
			keys[key] = told{acked: held}
			if k.acked != "-" {
				acked++
			}
		}
	}
	t.Logf("%d kills, %d of them inside a commit, %d while closing or opening; %d acknowledged records looked for", kills, inCommit, between, acked)
	require.GreaterOrEqual(t, inCommit, kills/3)
	require.NotZero(t, between)
	require.NotZero(t, acked)
}
