package kvtest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
	"github.com/stretchr/testify/require"
)

func TestHangBlocksUntilTheContextEndsAndAppliesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFault(t)
		f.Hang()
		for i := range 2 { // with and without a value that is there
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			require.ErrorIs(t, f.SetRaw(ctx, "k", []byte("v")), context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began), i)
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.Health(ctx), context.DeadlineExceeded)
		f.Up()
		require.Empty(t, under(t, f, "k"))
		require.Zero(t, f.Late())
	})
}

func TestUpServesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, hang := range []func(*kvtest.Fault){(*kvtest.Fault).Hang, (*kvtest.Fault).HangIgnoringContext} {
			f := newFault(t)
			hang(f)
			got := make(chan error, 2)
			go func() { got <- f.SetRaw(t.Context(), "k", []byte("v")) }()
			go func() { got <- f.Health(t.Context()) }()
			synctest.Wait()
			require.Equal(t, 2, f.Hanging())
			require.Empty(t, under(t, f, "k"))
			f.Up()
			require.NoError(t, <-got)
			require.NoError(t, <-got)
			require.Equal(t, "v", under(t, f, "k"))
			require.Zero(t, f.Hanging())
		}
	})
}

func TestHangIgnoringContextOutlastsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, late := range []bool{false, true} {
			f := newFault(t)
			f.HangIgnoringContext()
			f.ApplyLate(late)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := make(chan error, 1)
			go func() { got <- f.SetRaw(ctx, "k", []byte("v")) }()
			time.Sleep(time.Hour)
			require.Empty(t, got)
			f.Up()
			require.ErrorIs(t, <-got, context.DeadlineExceeded)
			require.Equal(t, late, under(t, f, "k") == "v")
		}
	})
}

func TestApplyLateAppliesInOrderWithinUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFault(t)
		f.Hang()
		f.ApplyLate(true)
		leave := func(write func(ctx context.Context) error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, write(ctx), context.DeadlineExceeded)
		}
		value := []byte("1")
		leave(func(ctx context.Context) error { return f.SetRaw(ctx, "a", value) })
		value[0] = '9'
		leave(func(ctx context.Context) error {
			return f.BatchSetRaw(ctx, map[string][]byte{"a": []byte("2"), "b": []byte("2")})
		})
		leave(func(ctx context.Context) error { return f.SetRaw(ctx, "c", value) })
		leave(func(ctx context.Context) error { return f.BatchDelete(ctx, []string{"b"}) })
		value[0] = '0'
		leave(func(ctx context.Context) error { _, err := f.GetRaw(ctx, "a"); return err })
		require.Equal(t, 4, f.Late())
		require.Empty(t, under(t, f, "a"))
		f.Up()
		require.Zero(t, f.Late())
		require.Equal(t, "2", under(t, f, "a"))
		require.Empty(t, under(t, f, "b"))
		require.Equal(t, "9", under(t, f, "c"), "copied when its caller left")
		f.Up()
		require.NoError(t, f.Delete(t.Context(), "a"))
		f.Up()
		require.Empty(t, under(t, f, "a"), "applied once")
	})
}

func TestLateByLetsNewerWritesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFault(t)
		f.Hang()
		f.ApplyLate(true)
		f.LateBy(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, f.SetRaw(ctx, "k", []byte("old")))
		f.Up()
		require.NoError(t, f.SetRaw(t.Context(), "k", []byte("new")))
		time.Sleep(time.Second - 1)
		synctest.Wait()
		require.Equal(t, "new", under(t, f, "k"))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, "old", under(t, f, "k"))
	})
}

func TestCloseWakesAllAndAppliesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMem(t)
		f := kvtest.NewFault(resilient.KVWithHealth(keepOpen{mem}))
		f.Hang()
		f.ApplyLate(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.SetRaw(ctx, "late", nil), context.DeadlineExceeded)

		got := make(chan error, 3)
		go func() { got <- f.SetRaw(t.Context(), "k", []byte("v")) }()
		synctest.Wait()
		f.Up() // late lands here
		require.NoError(t, <-got)

		f.Latency(time.Hour)
		f.LateBy(time.Hour)
		go func() { got <- f.SetRaw(t.Context(), "k", []byte("w")) }()
		synctest.Wait()
		f.HangIgnoringContext()
		go func() { got <- f.Delete(t.Context(), "k") }()
		f.ApplyLate(true)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
		require.ErrorIs(t, <-got, resilient.ErrClosed)
		require.ErrorIs(t, <-got, resilient.ErrClosed)
		require.Zero(t, time.Since(began))
		for op, err := range each(t.Context(), f) {
			require.ErrorIs(t, err, resilient.ErrClosed, op)
		}
		value, err := mem.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(value))
	})
}

// brittle is a store whose Close panics.
type brittle struct{ *memkv.KV }

func (s brittle) Close() error { panic(errors.Join(s.KV.Close(), errors.New("brittle"))) }

func TestRegression_ASecondCloseHangsAfterTheFirstPanicked(t *testing.T) {
	f := kvtest.NewFault(brittle{newMem(t)})
	require.Panics(t, func() { _ = f.Close() })
	require.ErrorContains(t, f.Close(), "panicked")
}

func TestCloseDropsLateWritesThatAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMem(t)
		f := kvtest.NewFault(keepOpen{mem})
		f.Hang()
		f.ApplyLate(true)
		f.LateBy(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, f.SetRaw(ctx, "k", []byte("v")))
		f.Up()
		require.NoError(t, f.Close())
		time.Sleep(2 * time.Hour)
		_, err := mem.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, resilient.ErrNotFound)
	})
}
