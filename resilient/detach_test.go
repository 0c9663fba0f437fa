package resilient

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// stuck is a store whose calls ignore their ctx until wake is closed.
type stuck struct {
	*fake
	wake chan struct{}
}

func newStuck() *stuck {
	s := &stuck{fake: newFake(), wake: make(chan struct{})}
	s.get = func(context.Context, string) ([]byte, error) { <-s.wake; return []byte("late"), nil }
	s.set = func(context.Context, string, []byte) error { <-s.wake; return nil }
	return s
}

func TestACallerLeavesADetachedCallWhenItsCtxEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		d := Detach(kv, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		value, err := d.GetRaw(ctx, "k")
		require.Nil(t, value)
		require.Equal(t, time.Second, time.Since(began))
		require.EqualError(t, err, ctx.Err().Error())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrAmbiguous)
		left := Left(err)
		require.NotNil(t, left)
		select {
		case <-left:
			t.Fatal("it has not ended")
		default:
		}

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = d.SetRaw(ctx, "k", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrAmbiguous)
		require.ErrorIs(t, err, ErrUnavailable)
		close(kv.wake)
		<-left
		<-Left(err)
		require.NoError(t, d.Close())
	})
}

func TestLeftIsNilForEveryOtherError(t *testing.T) {
	require.Nil(t, Left(nil))
	require.Nil(t, Left(errBroken))
	require.Nil(t, Left(&Error{Err: context.Canceled}))
}

func TestADetachedCallThatEndsInTimeIsAsAnyOther(t *testing.T) {
	f := &batchFake{fake: newFake()}
	d := Detach(f, 0)
	ctx := t.Context()
	require.NoError(t, d.SetRaw(ctx, "a", []byte("1")))
	value, err := d.GetRaw(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "1", string(value))
	_, err = d.GetRaw(ctx, "none")
	require.Equal(t, ErrNotFound, err)
	b := d.(Batcher)
	require.NoError(t, b.BatchSetRaw(ctx, map[string][]byte{"b": nil}))
	values, err := b.BatchGetRaw(ctx, []string{"a"})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"a": []byte("1")}, values)
	keys, err := d.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, keys)
	require.NoError(t, b.BatchDelete(ctx, []string{"a"}))
	require.NoError(t, d.Delete(ctx, "b"))
	require.NoError(t, d.Health(ctx))
	require.Empty(t, f.keys())
	require.NoError(t, d.Close())
}

func TestS30_WhatADetachedWriteWasGivenIsCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &batchFake{fake: newFake()}
		go1 := make(chan struct{})
		got := make(chan any, 3)
		f.set = func(_ context.Context, _ string, value []byte) error { <-go1; got <- string(value); return nil }
		f.batchSet = func(_ context.Context, kv map[string][]byte) error {
			<-go1
			got <- string(kv["k"])
			return nil
		}
		f.batchDel = func(_ context.Context, keys []string) error { <-go1; got <- keys[0]; return nil }
		d := Detach(f, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		value := []byte("one")
		require.Error(t, d.SetRaw(ctx, "k", value))
		value[0] = 'X'
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		kv := map[string][]byte{"k": []byte("one")}
		require.Error(t, d.(Batcher).BatchSetRaw(ctx, kv))
		kv["k"][0] = 'X'
		clear(kv)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		keys := []string{"one"}
		require.Error(t, d.(Batcher).BatchDelete(ctx, keys))
		keys[0] = "Xne"
		close(go1)
		for range 3 {
			require.Equal(t, "one", <-got)
		}
		require.NoError(t, d.Close())
	})
}

func TestS19_AtMostTheLimitIsLeftBehindAndThenItIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		d := Detach(kv, 3)
		s := wrap(t, d, quiet())
		var lefts []<-chan struct{}
		var wait sync.WaitGroup
		errs := make(chan error, 10)
		for range 10 { // ten at once, not only one after another
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := d.GetRaw(ctx, "k")
				errs <- err
			})
		}
		wait.Wait()
		for range 10 {
			err := <-errs
			require.Error(t, err)
			if left := Left(err); left != nil {
				lefts = append(lefts, left)
			}
		}
		require.Len(t, lefts, 3)
		require.Equal(t, 3, kv.count(OpGet), "the others were never sent")
		require.Equal(t, 3, s.Status().InFlight)
		began := time.Now()
		_, err := d.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrBusy)
		require.ErrorIs(t, d.SetRaw(t.Context(), "k", nil), ErrRefused)
		require.Zero(t, time.Since(began), "at once")
		close(kv.wake)
		for _, left := range lefts {
			<-left
		}
		require.Zero(t, s.Status().InFlight)
		_, err = d.GetRaw(t.Context(), "k")
		require.NoError(t, err, "and when they have ended there is room again")
		require.NoError(t, s.Close())
	})
}

func TestACallWaitsForAPlaceWhileOthersOnlyTakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return nil, nil }
		d := Detach(f, 2)
		began := time.Now()
		var wait sync.WaitGroup
		for range 6 {
			wait.Go(func() {
				_, err := d.GetRaw(t.Context(), "k")
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		err := d.SetRaw(ctx, "k", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrRefused, "it never left")
		require.NotErrorIs(t, err, ErrAmbiguous)
		require.Nil(t, Left(err))
		wait.Wait()
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Zero(t, f.count(OpSet))
		require.NoError(t, d.Close())
	})
}

func TestWhoWaitsForAPlaceIsBusyWhenAllHaveBeenLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		d := Detach(kv, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, _ = d.GetRaw(ctx, "k")
		}()
		synctest.Wait()
		began := time.Now()
		_, err := d.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrBusy)
		require.Equal(t, time.Second, time.Since(began))
		close(kv.wake)
		require.NoError(t, d.Close())
	})
}

func TestS28_APanicOrGoexitOfADetachedCallIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { panic("store") }
		f.set = func(context.Context, string, []byte) error { runtime.Goexit(); return nil }
		d := Detach(f, 1)
		var p *PanicError
		_, err := d.GetRaw(t.Context(), "k")
		require.ErrorAs(t, err, &p)
		require.Error(t, d.SetRaw(t.Context(), "k", nil))

		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Minute); panic("when nobody is there") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = d.GetRaw(ctx, "k")
		<-Left(err)
		require.NoError(t, d.Delete(t.Context(), "k"), "its place was given back")
		require.NoError(t, d.Close())
	})
}

func TestAStoreOverADetachedOneTimesOutAndKnowsWhatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		s := wrap(t, Detach(kv, 0), counts())
		began := time.Now()
		err := s.SetRaw(t.Context(), "k", nil)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.ErrorIs(t, err, ErrAmbiguous)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, Failed, e.Class)
		require.Equal(t, breaker.Open, s.State())
		require.Equal(t, 1, s.Status().InFlight)
		left := Left(err)
		require.NotNil(t, left)
		close(kv.wake)
		<-left
		require.Zero(t, s.Status().InFlight)
		require.NoError(t, s.Close())
	})
}

func TestADetachedStoreMayBeLeftBusyAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, wake := newFake(), make(chan struct{})
		f.get = func(context.Context, string) ([]byte, error) { <-wake; return nil, nil }
		kv := Detach(f, 1)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := kv.GetRaw(ctx, "k")
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, kv.Delete(t.Context(), "k"), ErrBusy)
			wake <- struct{}{}
			synctest.Wait()
			require.NoError(t, kv.Delete(t.Context(), "k"))
		}
	})
}

func TestADetachedCallThatIsOverIsNotLeftThoughItsCtxHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lane
		l.init(1)
		p := &place{done: make(chan struct{}), over: true} // between the two steps of exit
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		why := make(chan error, 1)
		go func() { why <- l.wait(ctx, p) }()
		synctest.Wait()
		require.Empty(t, why, "its result is about to be there")
		close(p.done)
		require.NoError(t, <-why)
		require.Zero(t, l.leftBehind())
	})
}

func TestCloseOfADetachedStoreFreesWhoStillWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		d := Detach(kv, 2)
		errs := make(chan error, 3)
		for range 2 {
			go func() { errs <- d.SetRaw(context.Background(), "k", nil) }()
		}
		synctest.Wait()
		go func() { errs <- d.SetRaw(context.Background(), "k", nil) }() // has no place yet
		synctest.Wait()
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.Equal(t, 1, kv.closes)
		ambiguous := 0
		for range 3 {
			err := <-errs
			require.ErrorIs(t, err, ErrClosed)
			if isAmbiguous(err) {
				ambiguous++
			}
		}
		require.Equal(t, 2, ambiguous)
		require.ErrorIs(t, d.Health(t.Context()), ErrClosed)
		_, err := d.GetRaw(t.Context(), "k")
		require.Equal(t, ErrClosed, err)
		close(kv.wake)
	})
}

func TestADetachedCallThatTheStoresCloseEndedHasItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newStuck()
		kv.shut = func() error { close(kv.wake); time.Sleep(time.Second); return nil }
		d := Detach(kv, 2)
		got := make(chan error, 1)
		go func() { got <- d.SetRaw(context.Background(), "k", nil) }()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.NoError(t, <-got)
	})
}

func TestADetachedCallWhoseCtxHasEndedIsNotSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFake()
	d := Detach(f, 0)
	require.Equal(t, context.Canceled, d.SetRaw(ctx, "k", nil))
	require.Empty(t, f.calls)
}

func TestDetachLosesNoCallUnderLoad(t *testing.T) {
	f := newFake()
	d := Detach(f, 4)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range 200 {
				ctx, cancel := context.WithTimeout(context.Background(), 50*time.Microsecond)
				if err := d.SetRaw(ctx, "k", []byte("v")); err != nil {
					if left := Left(err); left != nil {
						<-left
					}
				}
				cancel()
			}
		})
	}
	wait.Wait()
	require.Zero(t, d.(interface{ leftBehind() int }).leftBehind())
	require.NoError(t, d.SetRaw(t.Context(), "k", nil), "no place was lost")
	require.NoError(t, d.Close())
}
