package failover_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func openMem(tb testing.TB) resilient.KVWithHealth {
	kv, err := memkv.New(memkv.Config{})
	require.NoError(tb, err)
	return kv
}

func openBolt(tb testing.TB) resilient.KVWithHealth {
	kv, err := boltkv.Open(filepath.Join(tb.TempDir(), "test.db"), boltkv.Config{NoSync: true})
	require.NoError(tb, err)
	return kv
}

func openBadger(tb testing.TB) resilient.KVWithHealth {
	kv, err := badgerkv.Open(filepath.Join(tb.TempDir(), "badger"), badgerkv.Config{NoSync: true})
	require.NoError(tb, err)
	return kv
}

func groupOf(tb testing.TB, cfg failover.Config, members ...resilient.KVWithHealth) *failover.KV {
	kv, err := failover.New(cfg, members...)
	require.NoError(tb, err)
	return kv
}

// TestConformance: a group is a store like any other, in every mode, of two
// members and of three, while all is well and, mirrored, while its first member
// is away.
func TestConformance(t *testing.T) {
	modes := map[failover.Writes]func() failover.Config{
		failover.Handoff:     func() failover.Config { return failover.Config{} },
		failover.Mirror:      func() failover.Config { return failover.Config{Writes: failover.Mirror, Complete: true} },
		failover.PrimaryOnly: func() failover.Config { return failover.Config{Writes: failover.PrimaryOnly} },
		failover.MirrorStrict: func() failover.Config {
			return failover.Config{Writes: failover.MirrorStrict, Complete: true, Journal: &durable{Journal: failover.MemoryJournal(0)}}
		},
	}
	run := func(name string, cfg func() failover.Config, open func(tb testing.TB) []resilient.KVWithHealth) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
				return groupOf(tb, cfg(), open(tb)...)
			}})
		})
	}
	for mode, cfg := range modes {
		run(mode.String()+" of bolt and memory", cfg, func(tb testing.TB) []resilient.KVWithHealth {
			return []resilient.KVWithHealth{openBolt(tb), openMem(tb)}
		})
		run(mode.String()+" of three", cfg, func(tb testing.TB) []resilient.KVWithHealth {
			return []resilient.KVWithHealth{openMem(tb), openBolt(tb), openMem(tb)}
		})
	}
	run("mirror of bolt and badger", modes[failover.Mirror], func(tb testing.TB) []resilient.KVWithHealth {
		return []resilient.KVWithHealth{openBolt(tb), openBadger(tb)}
	})
	t.Run("mirror, the first member is down", func(t *testing.T) {
		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			down := kvtest.NewFault(openMem(tb))
			down.Down()
			cfg := modes[failover.Mirror]()
			cfg.Journal = failover.MemoryJournal(1_000_000)
			return withoutFirst{groupOf(tb, cfg, down, openMem(tb))}
		}})
	})
}

// withoutFirst is a group whose first member never comes back: that Close says
// what is lost by that is right, and no concern of the suite.
type withoutFirst struct{ *failover.KV }

func (w withoutFirst) Close() error {
	if err := w.KV.Close(); !errors.Is(err, failover.ErrOwed) {
		return err
	}
	return nil
}
