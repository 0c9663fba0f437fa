package boltjournal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// record plays the series under strace and returns its trace, and the folder in
// which it was played.
func record(t *testing.T, env ...string) (steps []step, dir string) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not there")
	}
	dir, err = filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	trace := filepath.Join(t.TempDir(), "trace")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, strace, "-f", "-xx", "-s", "100000000", "-e", "trace="+tracedCalls, "-o", trace, os.Args[0])
	cmd.Env = append(os.Environ(), append(env, seriesPath+"="+filepath.Join(dir, "journal.db"))...)
	out, err := cmd.CombinedOutput()
	if err != nil && exec.Command(strace, "-o", os.DevNull, "true").Run() != nil {
		t.Skipf("strace may not trace here: %.300s", out)
	}
	require.NoError(t, err, "%.1000s", out)
	f, err := os.Open(trace)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	steps, err = parseTrace(f)
	require.NoError(t, err)
	return steps, dir
}

// rebuild replays a trace and opens the journal as it is after a loss of power
// at each step.
type rebuild struct {
	steps   []step
	dir     string
	seed    uint64
	chance  int                // how many lucks by chance at each step
	without func(*call) bool   // syncs to be left out
	until   func(verdict) bool // stop; nil = at the end

	scratch string // a folder
	replay  *replay
	truth   *truth
	rng     *rand.Rand
	known   map[[32]byte]opened // by what is in the folder
	v       verdict
	ops     int // steps that changed the disk, or were acknowledged
	states  int
}

// opened is what Open made of a folder.
type opened struct {
	found changes
	err   error
}

func (b *rebuild) run(t *testing.T) {
	b.scratch, b.replay, b.truth = t.TempDir(), newReplay(b.dir), newTruth()
	b.rng, b.known = rand.New(rand.NewPCG(b.seed, 0)), map[[32]byte]opened{}
	for i, s := range b.steps {
		if b.without != nil && b.without(s.call) {
			continue
		}
		changed, err := b.replay.step(s)
		require.NoError(t, err, "step %d", i)
		if text, err := s.text(1); s.name == "write" && s.args[0] == "1" && !s.ends {
			require.NoError(t, err)
			acked, err := b.truth.heed(text)
			require.NoError(t, err)
			changed = changed || acked
		}
		if !changed {
			continue
		}
		b.ops++
		lucks := slices.Clone(extremes)
		for range b.chance {
			lucks = append(lucks, chance(b.rng, []float64{0.1, 0.5, 0.9}[b.rng.IntN(3)]))
		}
		for _, l := range lucks {
			b.look(t, i, b.replay.disk.crash(l))
		}
		if b.until != nil && b.until(b.v) {
			return
		}
	}
}

// look opens what a crash at step i has left.
func (b *rebuild) look(t *testing.T, i int, files map[string][]byte) {
	b.states++
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintln(sum, name, len(files[name]))
		_, _ = sum.Write(files[name])
	}
	id := [32]byte(sum.Sum(nil))
	o, known := b.known[id]
	if !known {
		o = openFiles(t, b.scratch, files)
		b.known[id] = o
	}
	v := verdict{}
	if o.err != nil {
		v.errors, v.text = 1, o.err.Error()
	} else {
		v = b.truth.judge(o.found)
	}
	if b.v.text == "" && v.text != "" {
		b.v.text = fmt.Sprintf("step %d: %s", i, v.text)
	}
	b.v.lost, b.v.invented = b.v.lost+v.lost, b.v.invented+v.invented
	b.v.torn, b.v.errors = b.v.torn+v.torn, b.v.errors+v.errors
}

// openFiles opens the journal in a folder with these files, dir, which is empty
// before and after that. What Open makes anew must be as good.
func openFiles(t *testing.T, dir string, files map[string][]byte) (o opened) {
	defer func() {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, path := range left {
			require.NoError(t, os.Remove(path))
		}
	}()
	for name, b := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	path := filepath.Join(dir, "journal.db")
	j, err := Open(path, Config{NoSync: true})
	if err != nil {
		return opened{err: err}
	}
	r, err := j.Open(names)
	if err != nil {
		return opened{err: err}
	}
	o.found = contentsOf(r)
	require.NoError(t, j.Close(r.Clean))
	again, err := Inspect(path, Config{})
	require.NoError(t, err, "what Open has made anew")
	require.Len(t, r.Records, again.Keys)
	return o
}

// sameFiles wants that the replay came to what is in the folder.
func (b *rebuild) sameFiles(t *testing.T) {
	real := map[string][]byte{}
	require.NoError(t, fs.WalkDir(os.DirFS(b.dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		real[name], err = os.ReadFile(filepath.Join(b.dir, name))
		return err
	}))
	require.NotEmpty(t, real)
	require.Equal(t, real, b.replay.disk.crash(extremes[5]))
	require.Equal(t, real, b.replay.disk.crash(extremes[0]), "all of it is synced")
}

// TestNoLossOfPowerLosesAnythingAcknowledged records what a journal writes and
// syncs, and opens what a loss of power leaves at each step: all that was
// synced, any sectors of the rest, and any number of changes of names.
// HOLDFAST_SEED chooses which, HOLDFAST_STATES how many at each step.
func TestNoLossOfPowerLosesAnythingAcknowledged(t *testing.T) {
	steps, dir := record(t)
	seed := uint64(envInt(t, "HOLDFAST_SEED", 1))
	t.Run("as recorded", func(t *testing.T) {
		b := &rebuild{steps: steps, dir: dir, seed: seed, chance: envInt(t, "HOLDFAST_STATES", 16)}
		b.run(t)
		fmt.Printf("RESULT kind=journal-strace ops=%d states=%d distinct=%d lost_acked=%d invented=%d torn=%d errors=%d seed=%d\n",
			b.ops, b.states, len(b.known), b.v.lost, b.v.invented, b.v.torn, b.v.errors, seed)
		require.Zero(t, b.v.bad(), b.v.text)
		b.sameFiles(t)
		require.NotZero(t, b.replay.maps, "bbolt reads through a mapping, and the replay refuses one for writing")
	})
	kinds := syncKinds(t, steps, dir)
	for _, kind := range []string{pagesSync, headSync, newFileSync, folderSync} {
		t.Run("it finds a journal without the sync of "+kind, func(t *testing.T) {
			left := 0
			b := &rebuild{steps: steps, dir: dir, seed: seed, chance: 4, until: func(v verdict) bool { return v.bad() > 0 }}
			b.without = func(c *call) bool {
				if kinds[c] == kind {
					left++
				}
				return kinds[c] == kind
			}
			b.run(t)
			require.NotZero(t, left)
			require.NotZero(t, b.v.bad())
			t.Logf("%d states; %.300s", b.states, b.v.text)
		})
	}
}

func TestALossOfPowerLosesWhatWasAcknowledgedWithoutSyncs(t *testing.T) {
	steps, dir := record(t, seriesNoSync+"=1")
	b := &rebuild{steps: steps, dir: dir, chance: 4, until: func(v verdict) bool { return v.lost > 0 && v.errors > 0 }}
	b.run(t)
	require.NotZero(t, b.v.lost)
	require.NotZero(t, b.v.errors)
	require.Zero(t, b.v.invented)
	t.Logf("%d states: %d lost, %d errors; %.300s", b.states, b.v.lost, b.v.errors, b.v.text)
}
