package failover_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// frozenJournal is on a disk that can be frozen: its records then wait.
type frozenJournal struct {
	failover.Journal
	thaws chan struct{} // closed while the disk works
}

func newFrozenJournal() *frozenJournal {
	j := &frozenJournal{Journal: failover.MemoryJournal(0), thaws: make(chan struct{})}
	close(j.thaws)
	return j
}

func (j *frozenJournal) Durable() bool { return true }

func (j *frozenJournal) Put(recs ...failover.Record) error {
	<-j.thaws
	return j.Journal.Put(recs...)
}

// freeze is called while no write is under way.
func (j *frozenJournal) freeze() { j.thaws = make(chan struct{}) }
func (j *frozenJournal) thaw()   { close(j.thaws) }

// inIce runs test on a group whose first member is away, or on one that records
// every write.
func inIce(t *testing.T, test func(r *rig, j *frozenJournal)) {
	for name, mode := range map[string]struct {
		change func(*failover.Config)
		away   bool
	}{
		"handoff":                  {handoff, true},
		"mirror":                   {mirror, true},
		"strict, and all are well": {func(cfg *failover.Config) { cfg.Writes, cfg.Complete = failover.MirrorStrict, true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var j *frozenJournal
			inRig(t, 2, both(mode.change, func(cfg *failover.Config) {
				j = newFrozenJournal() // of the test's own bubble
				cfg.Journal = j
			}), func(r *rig) {
				r.set("k", "old")
				if mode.away {
					r.away(0)
				}
				test(r, j)
			})
		})
	}
}

// leaves writes with a ctx that ends, wants that to be the end of the wait, and
// reports whether the write may have been applied.
func (r *rig) leaves(write func(ctx context.Context) error) (ambiguous bool) {
	r.t.Helper()
	const patience = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	began := time.Now()
	err := write(ctx)
	require.ErrorIs(r.t, err, context.DeadlineExceeded)
	require.LessOrEqual(r.t, time.Since(began), patience+20*time.Millisecond)
	return errors.Is(err, resilient.ErrAmbiguous)
}

func TestRegression_AWriteWaitsForAFrozenJournalWhateverItsContextDoes(t *testing.T) {
	inIce(t, func(r *rig, j *frozenJournal) {
		j.freeze()
		require.True(t, r.leaves(func(ctx context.Context) error { return r.kv.SetRaw(ctx, "k", []byte("new")) }))
		require.True(t, r.leaves(func(ctx context.Context) error { return r.kv.Delete(ctx, "other") }))
		require.False(t, r.leaves(func(ctx context.Context) error { return r.kv.SetRaw(ctx, "k", []byte("newer")) }), "it has waited for the key")
		j.thaw()
		synctest.Wait()
		r.set("k", "newest")
		r.faults[0].Up()
		r.rest()
		r.holds(0, "k", "newest")
	})
}

// Whoever has left is told nothing more; what becomes of the write is one thing
// for all.
func TestAWriteThatAFrozenJournalHeldUpIsBroughtToItsEnd(t *testing.T) {
	inIce(t, func(r *rig, j *frozenJournal) {
		j.freeze()
		r.leaves(func(ctx context.Context) error { return r.kv.SetRaw(ctx, "k", []byte("new")) })
		j.thaw()
		synctest.Wait()
		got, err := r.kv.GetRaw(r.ctx, "k")
		if err == nil {
			require.Contains(t, []string{"old", "new"}, string(got))
			r.faults[0].Up()
			r.rest()
			r.holds(0, "k", string(got))
			return
		}
		require.ErrorIs(t, err, failover.ErrUncertain)
	})
}

func TestCloseDoesNotWaitForeverForWritesThatAFrozenJournalHolds(t *testing.T) {
	inIce(t, func(r *rig, j *frozenJournal) {
		j.freeze()
		r.leaves(func(ctx context.Context) error { return r.kv.SetRaw(ctx, "k", []byte("new")) })
		began := time.Now()
		_ = r.kv.Close()
		require.Less(t, time.Since(began), 10*time.Second)
		j.thaw()
		synctest.Wait()
	})
}
