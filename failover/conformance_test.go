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

// TestConformance: a group is a store like any other, while all is well and
// while its first member is away.
func TestConformance(t *testing.T) {
	mirror := failover.Config{Writes: failover.Mirror, Complete: true}
	t.Run("two different members", func(t *testing.T) {
		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			return groupOf(tb, mirror, openBolt(tb), openMem(tb))
		}})
	})
	t.Run("bolt and badger", func(t *testing.T) {
		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			return groupOf(tb, mirror, openBolt(tb), openBadger(tb))
		}})
	})
	t.Run("three members", func(t *testing.T) {
		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			return groupOf(tb, mirror, openMem(tb), openBolt(tb), openMem(tb))
		}})
	})
	t.Run("the first member is down", func(t *testing.T) {
		kvtest.Run(t, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			down := kvtest.NewFault(openMem(tb))
			down.Down()
			cfg := mirror
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
