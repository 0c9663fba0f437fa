package failover_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

func TestACacheOnDiskAnswersAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache.db")
	synctest.Test(t, func(t *testing.T) {
		store := kvtest.NewFault(openMem(t))
		start := func() *failover.Cached {
			disk, err := boltkv.Open(path, boltkv.Config{})
			require.NoError(t, err)
			return withCache(t, resilient.KeepOpen(store), disk, failover.CacheConfig{MaxStale: time.Minute})
		}
		c := start()
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
		require.NoError(t, c.Close())
		store.Down()

		time.Sleep(30 * time.Second)
		c = start()
		var receipt resilient.Receipt
		value, err := c.GetRaw(resilient.WithReceipt(t.Context(), &receipt), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(value))
		require.Equal(t, resilient.Receipt{Store: "bolt", Stale: true, Age: 30 * time.Second}, receipt)
		time.Sleep(30*time.Second + 1)
		_, err = c.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.NoError(t, c.Close())
	})
}

// Two processes share a cache. What the other one has read before this one's
// write was acknowledged is not served here, however late it gets there.
func TestWhatAnotherProcessCachedIsServedUnlessAnOwnWriteIsNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, shared := kvtest.NewFault(openMem(t)), openMem(t)
		process := func() *failover.Cached {
			c, err := failover.WithCacheStripes(resilient.KeepOpen(store), resilient.NoHealth(resilient.KeepOpen(shared)), failover.CacheConfig{}, 1)
			require.NoError(t, err)
			return c
		}
		here, there := process(), process()
		defer func() { require.NoError(t, errors.Join(here.Close(), there.Close(), store.Close(), shared.Close())) }()
		read := func(c *failover.Cached) (string, error) {
			value, err := c.GetRaw(t.Context(), "k")
			return string(value), err
		}

		require.NoError(t, there.SetRaw(t.Context(), "k", []byte("theirs")))
		synctest.Wait()
		entry, err := shared.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		store.Down()
		value, err := read(here)
		require.NoError(t, err)
		require.Equal(t, "theirs", value)

		store.Up()
		time.Sleep(time.Second)
		require.NoError(t, here.SetRaw(t.Context(), "k", []byte("ours")))
		synctest.Wait()
		require.NoError(t, shared.SetRaw(t.Context(), "k", entry)) // late
		store.Down()
		_, err = read(here)
		require.ErrorIs(t, err, resilient.ErrRefused)

		store.Up()
		time.Sleep(2 * time.Second)
		_, err = read(there) // fills
		require.NoError(t, err)
		synctest.Wait()
		store.Down()
		value, err = read(here)
		require.NoError(t, err)
		require.Equal(t, "ours", value)
	})
}

func TestAnEntryFromTheFutureIsNotServed(t *testing.T) {
	var entry []byte
	synctest.Test(t, func(t *testing.T) { // the clock of another process is ahead
		time.Sleep(time.Hour)
		memory := openMem(t)
		c := withCache(t, openMem(t), resilient.KeepOpen(memory), failover.CacheConfig{})
		require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
		require.NoError(t, c.Close())
		var err error
		entry, err = memory.GetRaw(t.Context(), "k")
		require.NoError(t, err)
	})
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) { // each bubble's clock begins anew
		require.NoError(t, r.cache.Unwrap().SetRaw(r.ctx, "k", entry))
		r.store.Down()
		r.gone("k")
	})
}

func TestWhatIsNoEntryIsAMiss(t *testing.T) {
	inCacheRig(t, failover.CacheConfig{}, func(r *cacheRig) {
		memory := r.cache.Unwrap()
		r.set("k", "v")
		r.set("other", "w")
		synctest.Wait()
		entry, err := memory.GetRaw(r.ctx, "k")
		require.NoError(t, err)
		others, err := memory.GetRaw(r.ctx, "other")
		require.NoError(t, err)
		r.store.Down()
		for name, raw := range map[string][]byte{
			"empty": {}, "zeros": make([]byte, 100), "text": []byte("no entry, but longer than the header of one"),
			"cut": entry[:len(entry)-1], "longer": append(bytes.Clone(entry), 0), "another key's": others,
		} {
			require.NoError(t, memory.SetRaw(r.ctx, "k", raw))
			a := r.read("k")
			require.ErrorIs(t, a.err, resilient.ErrUnavailable, name)
			values, err := r.kv.BatchGetRaw(r.ctx, []string{"k"})
			require.ErrorIs(t, err, resilient.ErrUnavailable, name)
			require.Nil(t, values)
		}
		require.NoError(t, memory.SetRaw(r.ctx, "k", entry))
		r.stale("k", "v", 0)
	})
}

// nilCache is a cache that answers with nothing at all.
type nilCache struct{ resilient.KV }

func (nilCache) GetRaw(context.Context, string) ([]byte, error) { return nil, nil }

func TestACacheThatAnswersWithNothingHasNothing(t *testing.T) {
	store := kvtest.NewFault(openMem(t))
	c := withCache(t, store, nilCache{openMem(t)}, failover.CacheConfig{})
	require.NoError(t, c.SetRaw(t.Context(), "k", []byte("v")))
	store.Down()
	_, err := c.GetRaw(t.Context(), "k")
	require.ErrorIs(t, err, resilient.ErrRefused)
	_, err = c.BatchGetRaw(t.Context(), []string{"k"})
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NoError(t, c.Close())
}

func TestRegression_ACallThatACacheRefusedKeptTheReceiptOfTheOneBefore(t *testing.T) {
	c := withCache(t, openMem(t), openMem(t), failover.CacheConfig{})
	var receipt resilient.Receipt
	ctx, leave := context.WithCancel(resilient.WithReceipt(t.Context(), &receipt))
	calls := map[string]func() error{
		"get":       func() error { _, err := c.GetRaw(ctx, "k"); return err },
		"batch get": func() error { _, err := c.BatchGetRaw(ctx, []string{"k"}); return err },
		"list":      func() error { _, err := c.List(ctx, ""); return err },
		"set":       func() error { return c.SetRaw(ctx, "k", nil) },
		"delete":    func() error { return c.Delete(ctx, "k") },
	}
	refused := func(target error) {
		for name, call := range calls {
			receipt = resilient.Receipt{Store: "of the call before"}
			require.ErrorIs(t, call(), target, name)
			require.Zero(t, receipt, name)
		}
	}
	leave()
	refused(context.Canceled)
	require.NoError(t, c.Close())
	refused(resilient.ErrClosed)
}
