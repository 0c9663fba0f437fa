package resilient

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

func TestS31_CloseClosesTheWrappedStoreOnceAndAllItsCallersGetTheSame(t *testing.T) {
	f := newFake()
	f.shut = func() error { return errBroken }
	s := wrap(t, f, steady())
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if err := s.Close(); !errors.Is(err, errBroken) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, errBroken, s.Close())
	require.Equal(t, 1, f.closes)
}

func TestS31_EveryCallAfterCloseIsErrClosedAtOnceWhateverTheStoreDoes(t *testing.T) {
	ctx := t.Context()
	rec := &recorder{}
	cfg := steady()
	cfg.Observer = rec
	f := newFake()
	s := wrap(t, f, cfg)
	require.NoError(t, s.SetRaw(ctx, "k", []byte("v")))
	require.NoError(t, s.Close())
	before := f.count(OpGet) + f.count(OpSet) + f.count(OpHealth)
	_, get := s.GetRaw(ctx, "k")
	_, list := s.List(ctx, "")
	_, batch := s.BatchGetRaw(ctx, []string{"k"})
	for _, err := range []error{
		get, list, batch, s.SetRaw(ctx, "k", nil), s.Delete(ctx, "k"), s.Health(ctx),
		s.BatchSetRaw(ctx, map[string][]byte{"k": nil}), s.BatchDelete(ctx, []string{"k"}),
	} {
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, err, ErrRefused)
		require.NotErrorIs(t, err, ErrAmbiguous)
	}
	require.Equal(t, before, f.count(OpGet)+f.count(OpSet)+f.count(OpHealth))
	require.Equal(t, Down, s.Status().Condition)
	require.Equal(t, "closed", s.Status().Reason)
	done := rec.of(KindDone)
	require.Equal(t, Refused, done[len(done)-1].Class)
}

func TestAResultThatComesAfterCloseIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return []byte("late"), nil }
		s := wrap(t, f, quiet())
		var wait sync.WaitGroup
		wait.Go(func() {
			value, err := s.GetRaw(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "late", string(value))
		})
		synctest.Wait()
		require.NoError(t, s.Close())
		wait.Wait()
	})
}

func TestACallThatCloseEndedIsNoEvidenceAndAWriteMayHaveBeenApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		ended := make(chan struct{})
		f.set = func(context.Context, string, []byte) error { <-ended; return ErrClosed }
		f.get = func(context.Context, string) ([]byte, error) { <-ended; return nil, ErrClosed }
		f.shut = func() error { close(ended); return nil }
		rec := &recorder{}
		cfg := counts()
		cfg.Observer = rec
		s := wrap(t, f, cfg)
		var wait sync.WaitGroup
		wait.Go(func() {
			err := s.SetRaw(t.Context(), "k", nil)
			require.ErrorIs(t, err, ErrClosed)
			require.ErrorIs(t, err, ErrAmbiguous)
			require.NotErrorIs(t, err, ErrRefused)
		})
		wait.Go(func() {
			_, err := s.GetRaw(t.Context(), "k")
			require.ErrorIs(t, err, ErrClosed)
			require.ErrorIs(t, err, ErrRefused)
		})
		synctest.Wait()
		require.NoError(t, s.Close())
		wait.Wait()
		require.Equal(t, breaker.Closed, s.State())
		require.Empty(t, rec.of(KindChange))
	})
}

func TestCloseDoesNotWaitForACheckThatIgnoresItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		b := newBeats(func(context.Context, int) error { <-wake; return nil })
		s := wrap(t, b, steady())
		synctest.Wait()
		began := time.Now()
		require.NoError(t, s.Close())
		require.Equal(t, closeGrace, time.Since(began))
		require.ErrorIs(t, s.Health(t.Context()), ErrClosed)
		close(wake)
	})
}

func TestCloseWaitsForACheckThatItsCtxOrTheStoresCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false // not guarded: the race detector sees whether Close waited
		shut := make(chan struct{})
		b := newBeats(func(context.Context, int) error {
			<-shut
			time.Sleep(100 * time.Millisecond)
			ended = true
			return nil
		})
		b.shut = func() error { close(shut); return nil }
		s := wrap(t, b, steady())
		synctest.Wait()
		require.NoError(t, s.Close())
		require.True(t, ended)
	})
}

func TestS28_AStoreWhoseClosePanicsOrEndsItsGoroutineIsClosed(t *testing.T) {
	f := newFake()
	f.shut = func() error { panic("close") }
	s := wrap(t, f, steady())
	var p *PanicError
	require.ErrorAs(t, s.Close(), &p)
	require.ErrorAs(t, s.Close(), &p)
	require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrClosed)

	f = newFake()
	f.shut = func() error { runtime.Goexit(); return nil }
	s = wrap(t, f, steady())
	var wait sync.WaitGroup
	wait.Go(func() { _ = s.Close() })
	wait.Wait()
	require.Error(t, s.Close())
}

func TestCloseMayBeCalledByWhoIsToldOfACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeats(nil)
		var s *Store
		done := make(chan error, 1)
		ready := make(chan struct{})
		cfg := steady()
		cfg.Observer = observer(func(context.Context, Event) { <-ready; done <- s.Close() })
		s = wrap(t, b, cfg)
		close(ready)
		require.NoError(t, <-done)
		require.NoError(t, s.Close())
	})
}
