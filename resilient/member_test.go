package resilient

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

func TestAStoreIsInOneGroupAtATime(t *testing.T) {
	s := wrap(t, newFake(), quiet())
	m, err := s.Join("first", Hooks{})
	require.NoError(t, err)
	require.Same(t, s, m.Store())
	_, err = s.Join("second", Hooks{})
	require.ErrorContains(t, err, `"first"`)
	require.ErrorContains(t, err, `"s"`)
	m.Leave()
	other, err := s.Join("second", Hooks{})
	require.NoError(t, err)
	m.Leave() // changes nothing now
	_, err = s.Join("third", Hooks{})
	require.ErrorContains(t, err, `"second"`)
	other.Leave()
	require.NoError(t, s.Close())
	_, err = s.Join("late", Hooks{})
	require.ErrorIs(t, err, ErrClosed)
}

func TestAMemberKnowsItsTimeoutsAndKeys(t *testing.T) {
	cfg := quiet()
	cfg.Timeout, cfg.LongTimeout = time.Second, -1
	m, err := wrap(t, newFake(), cfg).Join("g", Hooks{})
	require.NoError(t, err)
	require.Equal(t, time.Second, m.Timeout(OpGet))
	require.Zero(t, m.Timeout(OpList))
	require.Nil(t, m.Keys(), "CheckKey decides")
	cfg.Keys = func(string) error { return errBroken }
	m, err = wrap(t, newFake(), cfg).Join("g", Hooks{})
	require.NoError(t, err)
	require.Equal(t, errBroken, m.Keys()("k"))
}

func TestAMemberCallsThroughTheStoreAndLeavesTheRestToItsGroup(t *testing.T) {
	for name, kv := range map[string]func(*fake) KVWithHealth{
		"plain":   func(f *fake) KVWithHealth { return f },
		"batcher": func(f *fake) KVWithHealth { return &batchFake{fake: f} },
	} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{}
			cfg := quiet()
			cfg.Observer = rec
			s := wrap(t, kv(newFake()), cfg)
			m, err := s.Join("g", Hooks{})
			require.NoError(t, err)
			r := Receipt{Store: "untouched"}
			ctx := WithReceipt(t.Context(), &r)
			long := strings.Repeat("k", 1000) // not checked again
			require.NoError(t, m.SetRaw(ctx, long, nil))
			value, err := m.GetRaw(ctx, long)
			require.NoError(t, err)
			require.Equal(t, []byte{}, value)
			require.NoError(t, m.BatchSetRaw(ctx, map[string][]byte{"b": nil}))
			values, err := m.BatchGetRaw(ctx, []string{"b", "c"})
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"b": {}}, values)
			keys, err := m.List(ctx, "b")
			require.NoError(t, err)
			require.Equal(t, []string{"b"}, keys)
			require.NoError(t, m.BatchDelete(ctx, []string{"b"}))
			require.NoError(t, m.Delete(ctx, long))
			_, err = m.GetRaw(ctx, long)
			require.ErrorIs(t, err, ErrNotFound)
			require.Empty(t, rec.of(KindDone))
			require.Equal(t, "untouched", r.Store)
			calls := rec.of(KindCall)
			require.Len(t, calls, 8)
			for _, call := range calls {
				require.Equal(t, "g", call.Group)
				require.Equal(t, "s", call.Store)
			}
			require.NoError(t, s.Breaker().Force(breaker.Open, "test"))
			_, err = m.GetRaw(ctx, "k")
			require.ErrorIs(t, err, breaker.ErrOpen)
			require.NoError(t, s.Close())
			_, err = m.GetRaw(ctx, "k")
			require.ErrorIs(t, err, ErrClosed)
		})
	}
}

func TestAGroupIsToldOfChangesAndChecksBeforeAnyoneElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		note := func(s string) { told = append(told, s) }
		b := newBeats(func(_ context.Context, n int) error {
			time.Sleep(time.Millisecond)
			if n == 1 {
				return nil
			}
			return errBroken
		})
		cfg := quiet()
		cfg.Breaker = breaker.Config{Fall: 1, OnChange: func(c breaker.Change) {
			note("own " + c.To.String())
			panic("contained")
		}}
		cfg.Observer = observer(func(_ context.Context, e Event) { note(e.Group + " " + e.Kind.String() + " " + e.To) })
		s := wrap(t, b, cfg)
		start := time.Now()
		m, err := s.Join("g", Hooks{
			Changed: func(c breaker.Change) {
				note("hook " + c.To.String())
				panic("contained")
			},
			Checked: func(began time.Time, c Check) {
				require.Equal(t, start, began)
				require.Equal(t, time.Millisecond, c.Latency)
				note("checked")
				panic("contained")
			},
		})
		require.NoError(t, err)
		require.NoError(t, s.Health(t.Context()))
		require.Equal(t, []string{"checked", "g probe "}, told)
		told, start = nil, time.Now()
		require.Error(t, s.Health(t.Context()))
		require.Equal(t, []string{"hook open", "own open", "g change open", "checked", "g probe "}, told)

		m.Leave()
		told = nil
		require.Error(t, s.Health(t.Context()))
		require.Equal(t, []string{" probe "}, told)
		require.NoError(t, s.Close())
	})
}

// A Member's call has no Done event, whose beginning the first attempt shares.
func TestEachAttemptIsTimedWhoeverMakesItAndWhateverEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec, n := newFake(), &recorder{}, 0
		f.get = func(context.Context, string) ([]byte, error) {
			if n++; n%2 == 1 {
				time.Sleep(time.Second)
				return nil, errBroken
			}
			time.Sleep(2 * time.Second)
			return nil, nil
		}
		cfg := retrying(2)
		cfg.Timeout, cfg.Observer, cfg.MaxInFlight = -1, rec, 1
		s := wrap(t, f, cfg)
		m, err := s.Join("g", Hooks{Name: "called"})
		require.NoError(t, err)
		_, err = m.GetRaw(t.Context(), "k")
		require.NoError(t, err)
		go func() { _, _ = m.GetRaw(t.Context(), "k") }()
		synctest.Wait()
		require.ErrorIs(t, m.SetRaw(t.Context(), "k", nil), ErrBusy)
		require.NoError(t, s.Breaker().Force(breaker.Open, "test"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, m.SetRaw(t.Context(), "k", nil), breaker.ErrOpen)
		var took []time.Duration
		for _, e := range rec.of(KindCall) {
			require.Equal(t, "called", e.Store)
			took = append(took, e.Duration)
		}
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 0, time.Second, 0}, took)
	})
}

func TestAGroupIsNotToldOfAHealthThatNobodyKnows(t *testing.T) {
	s := wrap(t, NoHealth(newFake()), quiet())
	_, err := s.Join("g", Hooks{Checked: func(time.Time, Check) { t.Error("no verdict, no hook") }})
	require.NoError(t, err)
	require.ErrorIs(t, s.Health(t.Context()), ErrHealthUnknown)
}

func TestAChangeIsToldWithAllThatIsKnownOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := counts()
		cfg.Observer = rec
		s := wrap(t, answers(errBroken), cfg)
		_ = s.SetRaw(t.Context(), "k", nil)
		changes := rec.of(KindChange)
		require.Len(t, changes, 1)
		require.NotEmpty(t, changes[0].Reason)
		require.Equal(t, Event{
			Kind: KindChange, Time: time.Now(), Store: "s", From: closed, To: open, Duration: time.Second,
			Reason: changes[0].Reason, Err: errBroken,
		}, changes[0])
		require.NoError(t, s.Close())
	})
}
