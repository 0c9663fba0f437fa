package failover_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// brittleJournal panics, with a key, in the method that is broken.
type brittleJournal struct {
	failover.Journal
	broken string
	mended atomic.Bool
}

func (j *brittleJournal) in(method, key string) {
	if j.broken == method && !j.mended.Load() {
		panic("no place for " + key)
	}
}

func (j *brittleJournal) Durable() bool { return true }

func (j *brittleJournal) Reserve(keys int, bytes int64) error {
	j.in("Reserve", "k")
	return j.Journal.Reserve(keys, bytes)
}

func (j *brittleJournal) Release(keys int, bytes int64) {
	j.in("Release", "k")
	j.Journal.Release(keys, bytes)
}

func (j *brittleJournal) Put(recs ...failover.Record) error {
	j.in("Put", recs[0].Key)
	return j.Journal.Put(recs...)
}

func (j *brittleJournal) Forget(recs ...failover.Record) error {
	j.in("Forget", recs[0].Key)
	return j.Journal.Forget(recs...)
}

func (j *brittleJournal) Note(name string, fact []byte) error {
	j.in("Note", name)
	return j.Journal.Note(name, fact)
}

func TestRegression_AJournalThatPanicsLeavesNoKeyLocked(t *testing.T) {
	for broken, wants := range map[string]error{
		"Reserve": resilient.ErrRefused, "Put": resilient.ErrAmbiguous, "Release": nil, "Forget": nil,
	} {
		t.Run(broken, func(t *testing.T) {
			j := &brittleJournal{Journal: failover.MemoryJournal(0), broken: broken}
			inRig(t, 2, func(cfg *failover.Config) { cfg.Journal = j }, func(r *rig) {
				r.away(0)
				err := r.kv.SetRaw(r.ctx, "k", []byte("1"))
				require.ErrorIs(t, err, wants)
				if err != nil {
					require.NotContains(t, err.Error(), "for k", "the panic's value")
				}
				r.back(0)
				j.mended.Store(true)
				r.set("k", "2")
				r.reads("k", "2")
				r.rest()
				r.holds(0, "k", "2")
			})
		})
	}
}

func TestAJournalThatPanicsInNewIsAnError(t *testing.T) {
	j := &brittleJournal{Journal: failover.MemoryJournal(0), broken: "Note"}
	refuses(t, failover.Config{Journal: j, Writes: failover.MirrorStrict}, "failover: the journal panicked with a string")
}

// twiceJournal hands the same record out twice.
type twiceJournal struct{ failover.Journal }

func (j twiceJournal) Open([]string) (failover.Recovery, error) {
	r := failover.Record{Key: "k", Value: []byte("1"), Owed: 1, Seq: 1}
	return failover.Recovery{Records: []failover.Record{r, r}}, nil
}

func TestAJournalWithTwoRecordsOfOneKeyIsRefused(t *testing.T) {
	j := twiceJournal{failover.MemoryJournal(0)}
	refuses(t, failover.Config{Journal: j}, "failover: Config.Journal: it has two records of one key")
}

// refuses wants New to fail, with cfg, as says.
func refuses(t *testing.T, cfg failover.Config, says string) {
	t.Helper()
	first, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, first.Close()) }()
	_, err = failover.New(cfg, first)
	require.EqualError(t, err, says)
}
