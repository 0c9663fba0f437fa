package failover_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestMirrorStrictNeedsAJournalThatOutlivesTheProcess(t *testing.T) {
	for name, journal := range map[string]failover.Journal{"none": nil, "a MemoryJournal": failover.MemoryJournal(0)} {
		_, err := failover.New(failover.Config{Writes: failover.MirrorStrict, Journal: journal}, openMem(t))
		require.ErrorContains(t, err, "outlives the process", name)
	}
	_, err := failover.New(failover.Config{Complete: true}, openMem(t))
	require.ErrorContains(t, err, "Config.Complete", "Handoff is for members that are not complete")
}

func TestInMirrorStrictTheIntentIsDurableBeforeAnythingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		write func(r *rig) error
		want  string
		sent  []string
	}{
		"a set":    {func(r *rig) error { return r.kv.SetRaw(r.ctx, "k", []byte("v")) }, "put k=v owed:mem,mem-2 intent", []string{"mem set k v", "mem-2 set k v"}},
		"a delete": {func(r *rig) error { return r.kv.Delete(r.ctx, "k") }, "put k deleted owed:mem,mem-2 intent", []string{"mem delete k", "mem-2 delete k"}},
		"a batch": {
			func(r *rig) error { return r.kv.BatchSetRaw(r.ctx, map[string][]byte{"a": nil, "b": []byte("v")}) },
			"put a= owed:mem,mem-2 intent; b=v owed:mem,mem-2 intent",
			[]string{"mem set a ", "mem-2 set a ", "mem set b v", "mem-2 set b v"},
		},
		"a batch delete": {
			func(r *rig) error { return r.kv.BatchDelete(r.ctx, []string{"a", "b"}) },
			"put a deleted owed:mem,mem-2 intent; b deleted owed:mem,mem-2 intent",
			[]string{"mem delete a", "mem-2 delete a", "mem delete b", "mem-2 delete b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 2, strict, func(r *rig, d *disk, l *writeLog) {
				l.forget()
				require.NoError(t, c.write(r))
				require.Equal(t, c.want, l.all()[0])
				require.ElementsMatch(t, c.sent, l.all()[1:1+len(c.sent)])
				require.Empty(t, r.kv.Owed())
				r.until("the records are gone", func() bool { return d.record("k")+d.record("a")+d.record("b") == "" })
			})
		})
	}
}

func TestInMirrorStrictAWriteThatAllRefusedIsTakenBackDurably(t *testing.T) {
	inDiskRig(t, 2, both(strict, unbreakable), func(r *rig, d *disk, _ *writeLog) {
		r.set("k", "old")
		r.faults[0].FailWrites(nil)
		r.faults[1].FailWrites(nil)
		err := r.kv.BatchSetRaw(r.ctx, map[string][]byte{"k": []byte("new"), "fresh": []byte("new")})
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		require.Empty(t, d.record("k")+d.record("fresh"), "when the error is returned")
		r.reads("k", "old")
		r.gone("fresh")
	})
}

func TestInMirrorStrictWhatIsOwedIsDurableBeforeTheAcknowledgement(t *testing.T) {
	for name, mode := range map[string]func(*failover.Config){"mirror": mirror, "mirror-strict": strict} {
		t.Run(name, func(t *testing.T) {
			inDiskRig(t, 3, mode, func(r *rig, d *disk, _ *writeLog) {
				r.away(0)
				r.faults[2].Latency(time.Second / 2) // longer than Straggle
				r.set("k", "v")
				require.Contains(t, []string{"k=v owed:mem,mem-3", "k=v owed:mem,mem-2,mem-3 intent"}, d.record("k"))
				require.NoError(t, r.kv.Delete(r.ctx, "k"))
				require.Contains(t, d.record("k"), "k deleted owed:mem,mem-3")
			})
		})
	}
}

func TestInMirrorStrictReadersGetNothingOfAWriteWhoseIntentIsNotDurableYet(t *testing.T) {
	inDiskRig(t, 2, strict, func(r *rig, d *disk, _ *writeLog) {
		r.set("k", "old")
		r.until("its record is gone", func() bool { return d.record("k") == "" })
		var seen error
		d.fails(func(line string) diskFailed {
			if line == "put k=new owed:mem,mem-2 intent" {
				ctx, cancel := context.WithTimeout(r.ctx, 100*time.Millisecond)
				defer cancel()
				_, seen = r.kv.GetRaw(ctx, "k")
				return diskFailed{err: errSimDead}
			}
			return diskFailed{}
		})
		err := r.kv.SetRaw(r.ctx, "k", []byte("new"))
		require.ErrorIs(t, seen, context.DeadlineExceeded, "neither the new value nor the old one")
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, err, errSimDead)
		r.reads("k", "old")
	})
}
