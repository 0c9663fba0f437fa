package boltjournal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// envInt returns the number in an environment variable.
func envInt(tb testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(tb, err, name)
	return n
}

// kills is how often processes of a group were killed, and where.
type kills struct {
	all, commit, handBack, either, closing, opening, old int
}

func (k *kills) add(o kills) {
	k.all += o.all
	k.commit += o.commit
	k.handBack += o.handBack
	k.either += o.either
	k.closing += o.closing
	k.opening += o.opening
	k.old += o.old
}

// TestKilledGroupsLoseNothingAcknowledgedAndInventNothing kills processes that
// write through a group, one after the other in the same folder, for each mode.
// HOLDFAST_KILLS and HOLDFAST_SEED choose how many and the seed.
func TestKilledGroupsLoseNothingAcknowledgedAndInventNothing(t *testing.T) {
	n, seed := envInt(t, "HOLDFAST_KILLS", 300), envInt(t, "HOLDFAST_SEED", 1)
	if testing.Short() {
		n = 30
	}
	modes := []failover.Writes{failover.Handoff, failover.Mirror, failover.MirrorStrict}
	ledgers := make([]*ledger, len(modes))
	counts := make([]kills, len(modes))
	t.Run("modes", func(t *testing.T) {
		for i, mode := range modes {
			t.Run(mode.String(), func(t *testing.T) {
				t.Parallel()
				rng := rand.New(rand.NewPCG(uint64(seed), uint64(mode)))
				ledgers[i] = newLedger()
				killAll(t, fates((n+i)/len(modes), mode, rng), ledgers[i], &counts[i])
			})
		}
	})
	k, all := kills{}, ledger{}
	for i, l := range ledgers {
		k.add(counts[i])
		all.tried, all.acked = all.tried+l.tried, all.acked+l.acked
		all.refused, all.reads = all.refused+l.refused, all.reads+l.reads
		all.lost, all.invented = all.lost+l.lost, all.invented+l.invented
	}
	fmt.Printf("RESULT kind=journal-kill kills=%d in_commit=%d in_handback=%d in_either=%d in_old_handback=%d in_close=%d in_open=%d tried=%d "+
		"acked=%d refused=%d reads=%d lost_acked=%d invented=%d seed=%d\n",
		k.all, k.commit, k.handBack, k.either, k.old, k.closing, k.opening,
		all.tried, all.acked, all.refused, all.reads, all.lost, all.invented, seed)
	require.GreaterOrEqual(t, k.either, k.all/3, "invalid: too few kills where it matters")
	require.NotZero(t, k.commit)
	require.NotZero(t, k.handBack)
	require.NotZero(t, all.acked)
}

// TestTheKillsFindAJournalThatAnswersBeforeItIsDurable kills the same processes
// with a journal that says that a record is durable before it is.
func TestTheKillsFindAJournalThatAnswersBeforeItIsDurable(t *testing.T) {
	dir, l := t.TempDir(), newLedger()
	for _, f := range fates(60, failover.Handoff, rand.New(rand.NewPCG(1, 1))) {
		if f.Aim == inOldOne {
			continue
		}
		f.Hasty = true
		f.play(t, dir, l, true)
		if l.lost > 0 {
			t.Logf("found after %d kills: %s", f.Life+1, l.faults[0])
			return
		}
	}
	require.Fail(t, "60 kills have not found it")
}

// killAll plays the lives of one group, and then looks at all it has.
func killAll(t *testing.T, lives []fate, l *ledger, k *kills) {
	dir := t.TempDir()
	decides := lives[0].Mode != failover.Mirror // there a cut-off write may be on some members only
	for _, f := range lives {
		where := f.play(t, dir, l, decides)
		k.all++
		commit, handBack := strings.Contains(where, string(inCommit)), strings.Contains(where, string(inHandBack))
		for is, n := range map[*int]bool{
			&k.commit: commit, &k.handBack: handBack, &k.either: commit || handBack,
			&k.old:     handBack && f.Aim == inOldOne,
			&k.closing: strings.Contains(where, string(inClosing)), &k.opening: f.Aim == inOpening,
		} {
			if n {
				*is++
			}
		}
		require.Empty(t, l.faults, "after life %d, %+v", f.Life, f)
	}
	settle(t, dir, lives[0].Mode, l)
	require.Empty(t, l.faults)
}

// play runs one process until it is dead, and returns where it was then.
func (f fate) play(t *testing.T, dir string, l *ledger, decides bool) (where string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), f.env(dir)...)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var once sync.Once
	killIn := func(d time.Duration) {
		once.Do(func() {
			time.AfterFunc(d, func() {
				if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
					assert.NoError(t, err)
				}
			})
		})
	}
	if f.Aim == inOpening {
		killIn(f.After)
	}
	defer time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() }).Stop()
	where = l.follow(out, decides, func() {
		if f.Aim == anywhere {
			killIn(f.After)
		}
	})
	require.Error(t, cmd.Wait())
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), "%v %s", l.faults, stderr)
	return where
}

// settle lets the group hand everything back and reads every key, through the
// group and from each of its members.
func settle(t *testing.T, dir string, mode failover.Writes, l *ledger) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g, _, err := groupOf(dir, mode, newWatch(), false)
	require.NoError(t, err)
	l.readAll(t, g)
	require.NoError(t, g.Flush(ctx))
	if mode == failover.Mirror {
		require.NoError(t, g.Rebuild(ctx, "bolt-2", nil))
	}
	l.readAll(t, g)
	require.NoError(t, g.Close())
	report, err := Inspect(filepath.Join(dir, "journal.db"), Config{})
	require.NoError(t, err)
	require.True(t, report.Clean)
	require.Zero(t, report.Keys)

	for i, name := range names {
		kv, err := boltkv.Open(filepath.Join(dir, name), boltkv.Config{})
		require.NoError(t, err)
		if i > 0 && mode == failover.Handoff {
			keys, err := kv.List(ctx, "")
			require.NoError(t, err)
			require.Empty(t, keys, "what was handed back is removed here")
		} else {
			l.readAll(t, kv)
		}
		require.NoError(t, kv.Close())
	}
}

// readAll reads every key that kv has or should have.
func (l *ledger) readAll(t *testing.T, kv resilient.KV) {
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	for _, key := range keys {
		l.of(key)
	}
	for key := range l.keys {
		value, err := kv.GetRaw(t.Context(), key)
		if errors.Is(err, resilient.ErrNotFound) {
			value, err = []byte("-"), nil
		}
		require.NoError(t, err)
		l.read(key, strings.TrimSpace(string(value)), true)
	}
}
