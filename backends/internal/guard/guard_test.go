package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAGateIsEmptyWhenTheLastCallHasLeft(t *testing.T) {
	g := NewGate()
	require.NoError(t, g.Enter())
	require.NoError(t, g.Enter())
	g.Leave()
	require.False(t, isClosed(g.IsShut()))

	require.True(t, g.Shut())
	require.False(t, g.Shut(), "the second is not the first")
	require.True(t, isClosed(g.IsShut()))
	require.ErrorIs(t, g.Enter(), resilient.ErrClosed)
	require.False(t, isClosed(g.Empty()), "one call is still inside")
	g.Leave()
	require.True(t, isClosed(g.Empty()))
	require.ErrorIs(t, g.Enter(), resilient.ErrClosed)
}

func TestAGateThatNobodyEnteredIsEmptyAtOnce(t *testing.T) {
	g := NewGate()
	g.Shut()
	require.True(t, isClosed(g.Empty()))
}

func TestNobodyIsInsideAnEmptyGate(t *testing.T) {
	for range 200 {
		var (
			g      = NewGate()
			inside atomic.Int64
			all    sync.WaitGroup
		)
		for range 4 {
			all.Go(func() {
				for g.Enter() == nil {
					inside.Add(1)
					inside.Add(-1)
					g.Leave()
				}
			})
		}
		g.Shut()
		<-g.Empty()
		require.Zero(t, inside.Load())
		all.Wait()
	}
}

func TestBatchesAreCheckedWhole(t *testing.T) {
	long := strings.Repeat("k", 513)
	require.NoError(t, CheckKeys(nil))
	require.NoError(t, CheckKeys([]string{"a", "a"}))
	require.ErrorIs(t, CheckKeys([]string{"a", ""}), resilient.ErrEmptyKey)
	require.ErrorIs(t, CheckKeys([]string{"a", long}), resilient.ErrKeyTooLarge)
	require.NoError(t, CheckEntries(map[string][]byte{"a": {1, 2}, "b": nil}, 2))
	require.ErrorIs(t, CheckEntries(map[string][]byte{"a": nil, "b": {1, 2, 3}}, 2), resilient.ErrValueTooLarge)
	require.ErrorIs(t, CheckEntries(map[string][]byte{"a": nil, "\x00": nil}, 2), resilient.ErrInvalidKey)
	for range 20 { // whatever order the map is walked in
		require.ErrorIs(t, CheckEntries(map[string][]byte{"": nil, long: nil, "\x00": nil, "b": {1, 2, 3}}, 2), resilient.ErrEmptyKey)
	}
}

func TestAPulseStopsForTheCallerAndForClose(t *testing.T) {
	steps := func(ctx context.Context, g *Gate) (n int, err error) {
		for p := NewPulse(g); err == nil && n < 1000; n++ {
			err = p.Step(ctx)
		}
		return n, err
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	g := NewGate()
	n, err := steps(t.Context(), g)
	require.NoError(t, err)
	require.Equal(t, 1000, n)
	n, err = steps(ended, g)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, stride, n)
	g.Shut()
	_, err = steps(t.Context(), g)
	require.ErrorIs(t, err, resilient.ErrClosed)
}

func TestACallEndsWithItsCallerTheGateOrTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate()
		canceled, cancel := context.WithCancel(t.Context())
		ctx, leave, err := g.Inside(canceled, time.Second)
		require.NoError(t, err)
		require.NoError(t, Over(ctx))
		cancel()
		require.ErrorIs(t, Over(ctx), context.Canceled)
		leave()

		ctx, leave, err = g.Inside(t.Context(), time.Second)
		require.NoError(t, err)
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, Over(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, context.Cause(ctx), resilient.ErrTimeout)
		leave()

		patient, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		ctx, leave, err = g.Inside(patient, time.Second)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, Over(ctx), "the caller's own deadline counts")
		g.Shut()
		<-ctx.Done()
		require.ErrorIs(t, Over(ctx), resilient.ErrClosed)
		require.False(t, isClosed(g.Empty()))
		leave()
		require.True(t, isClosed(g.Empty()))

		_, _, err = g.Inside(t.Context(), 0)
		require.ErrorIs(t, err, resilient.ErrClosed)
		_, _, err = NewGate().Inside(canceled, 0)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestADeadlineThatHasPassedCountsBeforeItsTimerHasRun(t *testing.T) {
	require.ErrorIs(t, Over(late{t.Context()}), context.DeadlineExceeded)
}

// late is a context whose deadline has passed and whose timer has not run.
type late struct{ context.Context }

func (late) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestAnErrorSaysWhatBecameOfTheCall(t *testing.T) {
	cause := errors.New("connection reset")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		class  resilient.Class
		writes bool
		is     []error
		isNot  []error
		text   string
	}{
		"a lost answer of a write": {t.Context(), resilient.Failed, true, []error{resilient.ErrAmbiguous}, nil,
			"somekv: holdfast: ambiguous, the write may have been applied: connection reset"},
		"a lost answer of a read": {t.Context(), resilient.OK, false, []error{resilient.ErrUnavailable}, []error{resilient.ErrAmbiguous, resilient.ErrRefused},
			"somekv: holdfast: store unavailable: connection reset"},
		"a write that was not sent": {t.Context(), resilient.Refused, true, []error{resilient.ErrRefused}, []error{resilient.ErrAmbiguous},
			"somekv: holdfast: refused, nothing was applied: connection reset"},
		"a write whose caller left": {ended, resilient.OK, true, []error{context.Canceled, resilient.ErrAmbiguous}, nil,
			"somekv: holdfast: ambiguous, the write may have been applied: context canceled: connection reset"},
		"a bad key":  {t.Context(), resilient.Invalid, true, nil, []error{resilient.ErrUnavailable}, "somekv: connection reset"},
		"a conflict": {t.Context(), resilient.Conflict, true, nil, []error{resilient.ErrUnavailable}, "somekv: connection reset"},
	} {
		err := Explain("somekv", c.ctx, c.class, c.writes, cause)
		require.EqualError(t, err, c.text, name)
		for _, target := range append(c.is, cause) {
			require.ErrorIs(t, err, target, name)
		}
		for _, target := range c.isNot {
			require.NotErrorIs(t, err, target, name)
		}
	}
	require.EqualError(t, Explain("somekv", t.Context(), resilient.Refused, true, resilient.ErrBusy),
		"somekv: holdfast: too many calls in flight", "what matches the sentinel already is not told twice")
}

func TestAnErrorThatSaysWhatBecameOfTheCallNeedsNoClassifier(t *testing.T) {
	for _, c := range []struct {
		err   error
		class resilient.Class
		ok    bool
	}{
		{nil, resilient.OK, true},
		{Explain("somekv", t.Context(), resilient.Failed, true, errors.New("lost")), resilient.Failed, true},
		{Explain("somekv", t.Context(), resilient.Refused, true, errors.New("no")), resilient.Refused, true},
		{Explain("somekv", t.Context(), resilient.Failed, true, resilient.ErrRefused), resilient.Failed, true},
		{Explain("somekv", t.Context(), resilient.Failed, false, errors.New("lost")), resilient.OK, false},
		{errors.New("the driver's"), resilient.OK, false},
	} {
		class, ok := Judged(c.err)
		require.Equal(t, c.class, class, "%v", c.err)
		require.Equal(t, c.ok, ok, "%v", c.err)
	}
}

func TestChunksAreSortedAndBounded(t *testing.T) {
	batch := map[string][]byte{"b": make([]byte, 10), "a": make([]byte, 10), "d": make([]byte, 100), "c": nil, "e": nil}
	chunks := func(count, size int) (got [][]string) {
		for chunk := range Chunks(batch, count, size) {
			var keys []string
			for _, e := range chunk {
				require.Equal(t, batch[e.Key], e.Value)
				keys = append(keys, e.Key)
			}
			got = append(got, keys)
		}
		return got
	}
	require.Equal(t, [][]string{{"a", "b", "c", "d", "e"}}, chunks(5, 1000))
	require.Equal(t, [][]string{{"a", "b"}, {"c", "d"}, {"e"}}, chunks(2, 1000))
	require.Equal(t, [][]string{{"a", "b", "c"}, {"d"}, {"e"}}, chunks(5, 25), "what is too large alone has a chunk of its own")
	for range Chunks(batch, 1, 1) {
		break
	}
	for range Chunks(nil, 1, 1) {
		require.Fail(t, "a chunk of nothing")
	}

	keys := []string{"b", "a", "b", "c"}
	require.Equal(t, [][]string{{"a", "b"}, {"c"}}, slices.Collect(KeyChunks(keys, 2)))
	require.Equal(t, []string{"b", "a", "b", "c"}, keys)
}

func TestPrefixEndIsTheLeastStringAfterThePrefix(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\xfe": "a\xff", "é": "\xc3\xaa", "\xff\xfea\xff\xff": "\xff\xfeb"} {
		end, ok := PrefixEnd(prefix)
		require.True(t, ok)
		require.Equal(t, want, end)
	}
	for _, prefix := range []string{"", "\xff", "\xff\xff"} {
		_, ok := PrefixEnd(prefix)
		require.False(t, ok)
	}
}

func TestAllFaultsOfAConfigAreToldAtOnce(t *testing.T) {
	f := NewFaults("somekv")
	require.NoError(t, f.Err())
	f.NotNegative("Timeout", 0)
	f.AtMost("MaxValue", 10, 10)
	for _, good := range []string{"t", "_t1", "s.t", strings.Repeat("t", 63)} {
		f.TableName("Namespace", good)
	}
	require.NoError(t, f.Err())
	for _, bad := range []string{"", "1t", "a.b.c", "a.", ".b", "a b", `a"b`, "a`b", "a;drop", "é", strings.Repeat("t", 64)} {
		one := NewFaults("somekv")
		one.TableName("Namespace", bad)
		require.ErrorContains(t, one.Err(), "somekv: Config.Namespace", bad)
	}
	f.NotNegative("Timeout", -time.Second)
	f.AtMost("MaxValue", 11, 10)
	f.AtMost("PoolSize", -1, 10)
	f.Add("Token is odd")
	require.EqualError(t, f.Err(), `somekv: Config.Timeout is -1s, must not be negative
somekv: Config.MaxValue is 11, must be in 0 to 10
somekv: Config.PoolSize is -1, must be in 0 to 10
somekv: Config.Token is odd`)
}

func TestDefaultsFillOnlyWhatIsZero(t *testing.T) {
	n, d := 0, time.Second
	Default(&n, 7)
	Default(&d, time.Hour)
	require.Equal(t, 7, n)
	require.Equal(t, time.Second, d)
}

func TestTheInnermostErrorIsTheEndOfTheChain(t *testing.T) {
	end := errors.New("end")
	require.Same(t, end, Innermost(fmt.Errorf("a: %w", fmt.Errorf("b: %w", end))))
	require.Same(t, end, Innermost(end))
}

func TestAListHasNoKeyThatNoCallTakes(t *testing.T) {
	require.Equal(t, []string{"a", "é"}, Listed([]string{"", "a", "line\nfeed", "\xff", "é", strings.Repeat("k", 513)}))
	require.Equal(t, []string{}, Listed([]string{}))
}
