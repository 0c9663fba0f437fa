package kvtest_test

import (
	"sync"
	"testing"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
	"github.com/stretchr/testify/require"
)

func TestRecorderKeepsTheNewestAndCountsAll(t *testing.T) {
	r := kvtest.Recorder{Limit: 3}
	for i := range 5 {
		r.Observe(t.Context(), resilient.Event{Kind: resilient.KindCall, Attempt: i})
	}
	r.Observe(t.Context(), resilient.Event{Kind: resilient.KindProbe, Attempt: 9})
	attempts := func(events []resilient.Event) (got []int) {
		for _, e := range events {
			got = append(got, e.Attempt)
		}
		return got
	}
	require.Equal(t, []int{3, 4, 9}, attempts(r.Events()))
	require.Equal(t, []int{9}, attempts(r.Of(resilient.KindProbe)))
	require.Equal(t, 5, r.Count(resilient.KindCall))
	require.Equal(t, 1, r.Count(resilient.KindProbe))
	r.Reset()
	require.Empty(t, r.Events())
	require.Zero(t, r.Count(resilient.KindCall))
	r.Observe(t.Context(), resilient.Event{Attempt: 1})
	require.Equal(t, []int{1}, attempts(r.Events()))
}

func TestRecorderIsReadyAsItIsAndSafeForManyTellers(t *testing.T) {
	var r kvtest.Recorder
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				r.Observe(t.Context(), resilient.Event{Kind: resilient.KindDone})
				if r.Count(resilient.KindDone) > 0 && i%500 == 0 {
					_ = r.Events()
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 16_000, r.Count(resilient.KindDone))
	require.Len(t, r.Events(), 10_000)
}
