package resilient

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type ctxKey struct{}

func TestATimeoutContextEndsAtItsDeadlineWithOurCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), ctxKey{}, "v")
		c := WithTimeout(parent, time.Second)
		defer c.End()
		deadline, ok := c.Deadline()
		require.True(t, ok)
		require.Equal(t, time.Now().Add(time.Second), deadline)
		require.NoError(t, c.Err())
		require.NoError(t, context.Cause(c))
		require.Equal(t, "v", c.Value(ctxKey{}))
		require.Nil(t, c.Value("other"))

		began := time.Now()
		<-c.Done()
		require.Equal(t, time.Second, time.Since(began))
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		require.Equal(t, ErrTimeout, context.Cause(c))
		require.Equal(t, "v", c.Value(ctxKey{}))
	})
}

func TestATimeoutContextThatNobodyWaitsForStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := WithTimeout(t.Context(), time.Second)
		defer c.End()
		time.Sleep(time.Second - 1)
		require.NoError(t, c.Err())
		time.Sleep(time.Nanosecond)
		require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
		require.Equal(t, ErrTimeout, context.Cause(c))
		<-c.Done()
	})
}

func TestATimeoutContextEndsWithItsParentAndHasItsCause(t *testing.T) {
	for _, asked := range []bool{false, true} {
		parent, cancel := context.WithCancelCause(context.Background())
		c := WithTimeout(parent, time.Hour)
		if asked {
			require.NotNil(t, c.Done())
		}
		cancel(ErrSuperseded)
		require.ErrorIs(t, c.Err(), context.Canceled)
		require.Equal(t, ErrSuperseded, context.Cause(c))
		<-c.Done()
		c.End()
		require.ErrorIs(t, c.Err(), context.Canceled)
		require.Equal(t, ErrSuperseded, context.Cause(c))
	}
}

func TestTheParentsDeadlineRulesUnlessItIsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, ours := range []time.Duration{time.Second, 2 * time.Second} { // the same, and later
			parent, cancel := context.WithTimeout(t.Context(), time.Second)
			c := WithTimeout(parent, ours)
			deadline, _ := c.Deadline()
			want, _ := parent.Deadline()
			require.Equal(t, want, deadline)
			<-c.Done()
			require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
			require.Equal(t, context.DeadlineExceeded, context.Cause(c), "not ours")
			class, ok := endedBy(c)
			require.True(t, ok)
			require.Equal(t, Canceled, class)
			c.End()
			cancel()
		}
	})
}

func TestEndEndsATimeoutContextForGood(t *testing.T) {
	for _, asked := range []bool{false, true} {
		c := WithTimeout(context.WithValue(t.Context(), ctxKey{}, "v"), time.Hour)
		if asked {
			require.NotNil(t, c.Done())
		}
		c.End()
		c.End()
		require.Equal(t, context.Canceled, c.Err())
		<-c.Done()
		require.Equal(t, context.Canceled, c.Err())
		require.Equal(t, context.Canceled, context.Cause(c))
		require.Equal(t, "v", c.Value(ctxKey{}))
		child, cancel := context.WithCancel(c)
		require.Equal(t, context.Canceled, child.Err(), "a late child has ended too")
		cancel()
	}
}

func TestAnAnswerOfErrIsNeverTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := WithTimeout(parent, time.Hour)
		time.Sleep(time.Second + 1)
		require.Equal(t, context.DeadlineExceeded, c.Err())
		c.End()
		require.Equal(t, context.DeadlineExceeded, c.Err())
		<-c.Done()
		require.Equal(t, context.DeadlineExceeded, c.Err())

		late := WithTimeout(t.Context(), time.Second)
		late.End()
		time.Sleep(2 * time.Second)
		require.Equal(t, context.Canceled, late.Err())
		<-late.Done()
		require.Equal(t, context.Canceled, late.Err())
	})
}

func TestChildrenOfATimeoutContextStartNoGoroutine(t *testing.T) {
	c := WithTimeout(context.Background(), time.Hour)
	before := runtime.NumGoroutine()
	var cancels []context.CancelFunc
	for range 100 {
		child, cancel := context.WithCancel(c)
		cancels = append(cancels, cancel)
		require.NoError(t, child.Err())
		context.AfterFunc(c, func() {})
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before)
	c.End()
	for _, cancel := range cancels {
		cancel()
	}
}

func TestChildrenOfATimeoutContextEndWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := WithTimeout(t.Context(), time.Second)
		defer c.End()
		child, cancel := context.WithCancel(context.WithValue(c, ctxKey{}, "v"))
		defer cancel()
		grandchild := WithTimeout(child, time.Hour)
		defer grandchild.End()
		ran := make(chan error, 1)
		context.AfterFunc(c, func() { ran <- context.Cause(child) })
		stop := context.AfterFunc(c, func() { t.Error("stopped, and run all the same") })
		require.True(t, stop())
		require.Equal(t, ErrTimeout, <-ran)
		require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
		require.ErrorIs(t, grandchild.Err(), context.DeadlineExceeded)
		require.Equal(t, ErrTimeout, context.Cause(grandchild))
		class, ok := endedBy(grandchild)
		require.True(t, ok)
		require.Equal(t, Failed, class)
	})
}

// strange is a context that the standard library does not know.
type strange struct {
	context.Context
	done chan struct{}
	mu   sync.Mutex // guards err
	err  error
}

func (s *strange) Done() <-chan struct{} { return s.done }

func (s *strange) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *strange) end(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	close(s.done)
}

func TestATimeoutContextOverAForeignContextEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, asked := range []bool{false, true} {
			parent := &strange{Context: context.Background(), done: make(chan struct{})}
			c := WithTimeout(parent, time.Hour)
			if asked {
				require.NotNil(t, c.Done())
			}
			require.NoError(t, c.Err())
			parent.end(context.Canceled)
			synctest.Wait()
			require.Equal(t, context.Canceled, c.Err())
			<-c.Done()
			c.End()
		}
	})
}

func TestATimeoutContextMayBeUsedByManyAtOnce(t *testing.T) {
	for range 200 {
		parent, cancel := context.WithCancel(context.Background())
		c := WithTimeout(parent, time.Hour)
		var wait sync.WaitGroup
		for _, use := range []func(){
			func() { <-c.Done() },
			func() { _ = c.Err() },
			func() { _ = context.Cause(c) },
			func() { _ = c.Value(ctxKey{}) },
			func() {
				child, stop := context.WithCancel(c)
				defer stop()
				<-child.Done()
			},
			c.End,
			cancel,
			func() { context.AfterFunc(c, func() {})() },
		} {
			wait.Go(use)
		}
		wait.Wait()
		require.Error(t, c.Err())
		select {
		case <-c.Done():
		default:
			t.Fatal("Err says that it has ended, Done does not")
		}
	}
}

func TestATimeoutContextCostsOneAllocation(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sink context.Context
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		c := WithTimeout(parent, time.Hour)
		sink = c
		_, _ = c.Deadline()
		_ = c.Err()
		_ = c.Value(ctxKey{})
		c.End()
		_ = c.Err()
	}), 1.0)
	require.Error(t, sink.Err())
}

// overdue is a context whose deadline has passed and whose timer has not run.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-1), true }

func TestACallThatEndsBeforeTheTimerOfItsDeadlineHasRunIsOverAllTheSame(t *testing.T) {
	class, ok := endedBy(overdue{t.Context()})
	require.True(t, ok)
	require.Equal(t, Canceled, class)

	c := withDeadline(t.Context(), time.Now().Add(time.Hour))
	c.become() // its timer is set for an hour from now
	c.deadline = time.Now().Add(-1)
	class, ok = endedBy(withDeadline(c, time.Now()))
	require.True(t, ok)
	require.Equal(t, Failed, class, "the deadline is ours, of whichever of our layers")
	c.End()

	_, ok = endedBy(t.Context())
	require.False(t, ok)
}
