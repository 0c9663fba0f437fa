package kvtest_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
	"github.com/stretchr/testify/require"
)

func newMem(tb testing.TB) *memkv.KV {
	tb.Helper()
	kv, err := memkv.New(memkv.Config{})
	require.NoError(tb, err)
	return kv
}

func newFault(tb testing.TB) *kvtest.Fault {
	tb.Helper()
	f := kvtest.NewFault(newMem(tb))
	tb.Cleanup(func() { require.NoError(tb, f.Close()) })
	return f
}

// under returns the value that the wrapped store has for key, "" if none.
func under(tb testing.TB, f *kvtest.Fault, key string) string {
	tb.Helper()
	value, err := f.Unwrap().GetRaw(context.Background(), key)
	if errors.Is(err, resilient.ErrNotFound) {
		return ""
	}
	require.NoError(tb, err)
	return string(value)
}

// each runs every operation once and returns its error. Batches and single
// operations use the key "k".
func each(ctx context.Context, f *kvtest.Fault) map[resilient.Op]error {
	errs := make(map[resilient.Op]error)
	_, errs[resilient.OpGet] = f.GetRaw(ctx, "k")
	errs[resilient.OpSet] = f.SetRaw(ctx, "k", []byte("v"))
	errs[resilient.OpDelete] = f.Delete(ctx, "other")
	_, errs[resilient.OpList] = f.List(ctx, "")
	_, errs[resilient.OpBatchGet] = f.BatchGetRaw(ctx, []string{"k"})
	errs[resilient.OpBatchSet] = f.BatchSetRaw(ctx, map[string][]byte{"k": []byte("v")})
	errs[resilient.OpBatchDelete] = f.BatchDelete(ctx, []string{"other"})
	errs[resilient.OpHealth] = f.Health(ctx)
	return errs
}

func TestDownRefusesEveryOperationAndUpServesAgain(t *testing.T) {
	f := newFault(t)
	f.Down()
	for op, err := range each(t.Context(), f) {
		require.ErrorIs(t, err, resilient.ErrRefused, op)
		require.Equal(t, resilient.Refused, f.Classify(err), op)
	}
	require.Empty(t, under(t, f, "k"))
	f.Up()
	require.NoError(t, f.SetRaw(t.Context(), "k", []byte("v")))
	for op, err := range each(t.Context(), f) {
		require.NoError(t, err, op)
	}
	require.Equal(t, "v", under(t, f, "k"))
}

func TestWhatNeedsNoIOMeetsNoFault(t *testing.T) {
	f := newFault(t)
	f.Down()
	f.PanicNext(1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for op, err := range each(gone, f) {
		require.ErrorIs(t, err, context.Canceled, op)
	}
	require.ErrorIs(t, f.SetRaw(t.Context(), "", nil), resilient.ErrEmptyKey)
	require.ErrorIs(t, f.BatchDelete(t.Context(), []string{"a", "\x00"}), resilient.ErrInvalidKey)
	require.ErrorIs(t, f.BatchSetRaw(t.Context(), map[string][]byte{"": nil}), resilient.ErrEmptyKey)
	require.NoError(t, f.BatchSetRaw(t.Context(), nil))
	values, err := f.BatchGetRaw(t.Context(), nil)
	require.NoError(t, err)
	require.NotNil(t, values)
	require.Panics(t, func() { _, _ = f.GetRaw(t.Context(), "k") }, "the panic is still to come")
}

func TestLatencyDelaysEveryOperationAndHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFault(t)
		require.NoError(t, f.SetRaw(t.Context(), "k", []byte("v")))
		f.Latency(time.Second)
		began := time.Now()
		for op, err := range each(t.Context(), f) {
			require.NoError(t, err, op)
		}
		require.Equal(t, 8*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		require.ErrorIs(t, f.SetRaw(ctx, "k", []byte("w")), context.DeadlineExceeded)
		require.Equal(t, "v", under(t, f, "k"))
		f.Latency(0)
		began = time.Now()
		require.NoError(t, f.Health(t.Context()))
		require.Zero(t, time.Since(began))
	})
}

func TestFailWritesFailReadsAndUnhealthyFailOnlyTheirOwn(t *testing.T) {
	mine := errors.New("mine")
	writes := map[resilient.Op]bool{resilient.OpSet: true, resilient.OpDelete: true, resilient.OpBatchSet: true, resilient.OpBatchDelete: true}
	reads := map[resilient.Op]bool{resilient.OpGet: true, resilient.OpList: true, resilient.OpBatchGet: true}
	health := map[resilient.Op]bool{resilient.OpHealth: true}
	for _, c := range []struct {
		set   func(*kvtest.Fault, error)
		fails map[resilient.Op]bool
	}{
		{(*kvtest.Fault).FailWrites, writes},
		{(*kvtest.Fault).FailReads, reads},
		{(*kvtest.Fault).Unhealthy, health},
	} {
		for given, want := range map[error]error{nil: resilient.ErrRefused, mine: mine} {
			f := newFault(t)
			require.NoError(t, f.SetRaw(t.Context(), "k", []byte("old")))
			c.set(f, given)
			for op, err := range each(t.Context(), f) {
				if !c.fails[op] {
					require.NoError(t, err, op)
					continue
				}
				require.ErrorIs(t, err, want, op)
			}
			require.Equal(t, c.fails[resilient.OpSet], under(t, f, "k") == "old")
		}
	}
}

func TestLieHealthyHidesEveryFaultFromHealth(t *testing.T) {
	f := newFault(t)
	f.Down()
	f.Hang()
	f.Unhealthy(nil)
	f.LieHealthy()
	require.NoError(t, f.Health(t.Context()))
	require.ErrorIs(t, f.SetRaw(t.Context(), "k", nil), resilient.ErrRefused)
}

func TestAckLostAppliesAndThenFailsSoManyWrites(t *testing.T) {
	f := newFault(t)
	f.AckLost(2)
	_, err := f.List(t.Context(), "")
	require.NoError(t, err, "reads are not writes")
	require.NoError(t, f.BatchSetRaw(t.Context(), nil), "nor is an empty batch")
	err = f.SetRaw(t.Context(), "a", []byte("1"))
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.NotErrorIs(t, err, resilient.ErrRefused)
	require.Equal(t, resilient.Failed, f.Classify(err))
	require.ErrorIs(t, f.BatchSetRaw(t.Context(), map[string][]byte{"b": []byte("1"), "c": []byte("1")}), resilient.ErrAmbiguous)
	require.NoError(t, f.Delete(t.Context(), "c"))
	require.Equal(t, "1", under(t, f, "a"))
	require.Equal(t, "1", under(t, f, "b"))
	require.Empty(t, under(t, f, "c"))
}

func TestPanicNextAndGoexitNextSpareHealth(t *testing.T) {
	f := newFault(t)
	f.PanicNext(2)
	f.GoexitNext(1)
	require.NoError(t, f.Health(t.Context()))
	require.Panics(t, func() { _ = f.SetRaw(t.Context(), "k", []byte("v")) })
	require.Panics(t, func() { _, _ = f.GetRaw(t.Context(), "k") })
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.SetRaw(context.Background(), "k", []byte("v"))
		returned = true
	}()
	<-done
	require.False(t, returned)
	require.Empty(t, under(t, f, "k"))
	require.NoError(t, f.SetRaw(t.Context(), "k", []byte("v")))
}

func TestCountersCountEachCallOnceByItsOwnOp(t *testing.T) {
	f := kvtest.NewFault(foreign{newMem(t)})
	defer f.Close()
	f.Down()
	each(t.Context(), f)
	f.Up()
	each(t.Context(), f)
	require.Equal(t, 14, f.Calls())
	for op := resilient.OpGet; op <= resilient.OpHealth; op++ {
		require.Equal(t, 2, f.Count(op), op)
	}
	require.Zero(t, f.Count(resilient.OpHealth+1))
}

func TestFaultForwardsWhatTheStoreKnows(t *testing.T) {
	mine := errors.New("mine")
	f := kvtest.NewFault(knowing{foreign{newMem(t)}, mine})
	defer f.Close()
	require.Equal(t, resilient.Limits{MaxKey: 7, MaxValue: 9}, f.Limits())
	require.Equal(t, resilient.Conflict, f.Classify(mine))
	f.FailWrites(mine)
	require.Equal(t, resilient.Conflict, f.Classify(f.SetRaw(t.Context(), "k", nil)))
	require.Equal(t, resilient.OK, f.Classify(errors.New("other")))

	bare := kvtest.NewFault(foreign{newMem(t)})
	defer bare.Close()
	require.Equal(t, resilient.OK, bare.Classify(mine))
	require.Zero(t, bare.Limits())
}

func TestBatchesOfAStoreWithoutBatchesAreServedKeyByKey(t *testing.T) {
	inner := &failAt{kv: newMem(t)}
	f := kvtest.NewFault(inner)
	defer f.Close()
	ctx := t.Context()
	require.NoError(t, f.BatchSetRaw(ctx, map[string][]byte{"a": []byte("1"), "b": nil, "c": []byte("3")}))
	got, err := f.BatchGetRaw(ctx, []string{"c", "none", "a", "b", "a"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("1"), "b": {}, "c": []byte("3")}, got)

	require.NoError(t, f.BatchDelete(ctx, []string{"a", "none", "a"}))
	require.Empty(t, under(t, f, "a"))

	inner.key = "b"
	got, err = f.BatchGetRaw(ctx, []string{"c", "b"})
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.Nil(t, got)
	err = f.BatchSetRaw(ctx, map[string][]byte{"a": []byte("2"), "b": nil, "c": nil})
	require.ErrorIs(t, err, resilient.ErrAmbiguous, "a is applied")
	require.Equal(t, resilient.Failed, f.Classify(err))
	require.Equal(t, "2", under(t, f, "a"))
	err = f.BatchDelete(ctx, []string{"c", "b"})
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous, "the first key was refused")
}

func TestAllSwitchesMayBeUsedAtAnyTime(t *testing.T) {
	f := newFault(t)
	ctx, cancel := context.WithCancel(t.Context())
	var calls, switches sync.WaitGroup
	for g := range 4 {
		calls.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_ = f.SetRaw(ctx, strconv.Itoa(g), []byte{byte(i)})
				_, _ = f.GetRaw(ctx, strconv.Itoa(g+1))
				_ = f.Health(ctx)
			}
		})
		switches.Go(func() {
			for range 200 {
				f.Hang()
				f.ApplyLate(true)
				f.Latency(time.Microsecond)
				f.AckLost(1)
				f.FailReads(nil)
				f.Up()
				_, _, _ = f.Hanging(), f.Late(), f.Calls()
			}
		})
	}
	switches.Wait()
	cancel()
	calls.Wait()
	require.Zero(t, f.Hanging())
	require.NoError(t, f.SetRaw(t.Context(), "k", nil))
}
