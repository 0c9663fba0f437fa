package kvstatus

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestBinsCoverAllDurationsWithoutGaps(t *testing.T) {
	require.Zero(t, binOf(-1))
	require.Zero(t, binOf(0))
	require.Equal(t, bins-1, binOf(time.Hour))
	for bin := range bins {
		require.Equal(t, bin, binOf(binStart(bin)), bin)
		if bin > 0 {
			require.Equal(t, bin-1, binOf(binStart(bin)-1), bin)
		}
		if bin > 2 {
			require.LessOrEqual(t, float64(binStart(bin)), 1.5*float64(binStart(bin-1)), "the width is what a quantile errs by")
		}
	}
}

func TestQuantilesAreWithinABin(t *testing.T) {
	s := newSeries()
	at := time.Now()
	for i := range 1000 {
		s.add(at, served, time.Duration(i)*time.Microsecond)
	}
	total := s.between(at.Unix()+1, 1)
	for q, want := range map[float64]time.Duration{0.01: 10, 0.5: 500, 0.99: 990} {
		got, ok := total.quantile(q)
		require.True(t, ok)
		require.InEpsilon(t, float64(want*time.Microsecond), float64(got), 0.5)
	}
	_, ok := (&sum{}).quantile(0.5)
	require.False(t, ok)
}

func TestASecondIsForgottenAfterALap(t *testing.T) {
	s := newSeries()
	at := time.Unix(1_800_000_000, 5)
	s.add(at, served, 1)
	require.Equal(t, 1, s.between(at.Unix()+1, 1).count[served])
	for i := range 100 {
		s.add(at.Add(ring*time.Second+time.Duration(i)), failed, 1)
	}
	require.Zero(t, s.between(at.Unix()+1, 1).count[served])
	require.Equal(t, 100, s.between(at.Unix()+ring+1, history).count[failed])
	s.add(time.Time{}, served, 1) // a time that no clock gives
}

func TestACachesAnswersAreTakenFromTheCallsThatTheyStandFor(t *testing.T) {
	got := sum{count: [outcomes]int{served: 5, stale: 4, refused: 3, failed: 2}}.settled()
	require.Equal(t, [outcomes]int{served: 5, stale: 4, refused: 0, failed: 1}, got.count)
}

func TestNoCallIsLostWhenManyAreCountedAtOnce(t *testing.T) {
	p := New(Config{})
	var wg sync.WaitGroup
	at := time.Now()
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				p.Observe(t.Context(), resilient.Event{
					Kind: resilient.KindDone, Store: "redis", Time: at.Add(time.Duration(j%3) * time.Second), Class: resilient.Class(i % 2),
				})
			}
		})
	}
	wg.Wait()
	total := p.records.find(source{store: "redis"}).calls.between(at.Unix()+3, 4)
	require.Equal(t, 8000, total.calls())
}
