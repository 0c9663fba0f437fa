package resilient

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// fuzzedConfig makes a Config of whatever numbers; counts and times are small
// enough to be lived through if small is set.
func fuzzedConfig(numbers [18]int64, rate, budget, jitter float64, small bool) Config {
	count := func(i int) int {
		if small {
			return int(numbers[i] % 8)
		}
		return int(numbers[i])
	}
	span := func(i int) time.Duration {
		if d := time.Duration(numbers[i]); !small || d <= 0 {
			return max(d, -1<<40)
		}
		return time.Duration(1+numbers[i]%1000) * 10 * time.Millisecond
	}
	return Config{
		Name: "s", Timeout: span(0), LongTimeout: span(1), MaxInFlight: count(2),
		Retry: Retry{Attempts: count(3), Base: span(4), Max: span(5), Budget: budget, AmbiguousWrites: numbers[3]&1 != 0},
		Probe: Probe{
			Interval: span(6), FastInterval: span(7), DownInterval: span(8), MaxDownInterval: span(9), Timeout: span(10), SlowAfter: span(11), Jitter: jitter,
		},
		Breaker: breaker.Config{
			Failures: count(12), MinCalls: count(13), Fall: count(14), Rise: count(15), Trials: count(16), OpenFor: span(17), Rate: rate,
		},
	}
}

func FuzzAConfigThatIsTakenTripsAndComesBack(f *testing.F) {
	f.Fuzz(func(t *testing.T, bytes []byte, rate, budget, jitter float64) {
		var numbers [18]int64
		for i, b := range bytes { // 8 bytes make one, the first of each make small ones
			numbers[i%18] = numbers[i%18]<<8 | int64(b)
		}
		for i := range numbers {
			if len(bytes) <= 18 {
				numbers[i] = int64(int8(numbers[i]))
			}
		}
		raw := fuzzedConfig(numbers, rate, budget, jitter, false)
		fault := validate(newFake(), raw)
		if fault != nil {
			s, err := Wrap(newFake(), raw)
			require.Equal(t, fault, err)
			require.Nil(t, s)
		} else {
			full := raw.withDefaults()
			require.GreaterOrEqual(t, min(full.Timeout, full.LongTimeout, full.Retry.Base, full.Probe.Timeout, full.Probe.FastInterval), time.Duration(0))
			require.LessOrEqual(t, full.Retry.Base, full.Retry.Max)
			require.LessOrEqual(t, full.Probe.DownInterval, full.Probe.MaxDownInterval)
			require.False(t, math.IsNaN(full.Probe.Jitter) || full.Probe.Jitter > 1)
		}
		small := fuzzedConfig(numbers, rate, budget, jitter, true)
		if validate(newFake(), small) == nil {
			synctest.Test(t, func(t *testing.T) { lives(t, small) })
		}
	})
}

// lives lets a store fail until its breaker opens, and be well until it closes.
func lives(t *testing.T, cfg Config) {
	byHand := cfg.Probe.Interval < 0 && cfg.Breaker.Failures < 0 && cfg.Breaker.Rate == 0 // nothing else is heard
	if cfg.Breaker.Rate > 0 {
		cfg.Retry.Attempts = 0 // what it waits for would take the calls out of the window
	}
	var well atomic.Bool
	says := func() error {
		if well.Load() {
			return nil
		}
		return errBroken
	}
	kv := newFake()
	kv.get = func(context.Context, string) ([]byte, error) { return nil, says() }
	kv.health = func(context.Context) error { return says() }
	s, err := Wrap(kv, cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	full := cfg.withDefaults()
	most := 21 // MinCalls is 20 where nothing is said, and nothing else is more
	for i := 0; i < most && s.State() == breaker.Closed; i++ {
		for range most {
			_, _ = s.GetRaw(t.Context(), "k")
			if byHand {
				_ = s.Health(t.Context())
			}
		}
		time.Sleep(2 * max(full.Probe.Interval, full.Probe.FastInterval))
	}
	require.NotEqual(t, breaker.Closed, s.State(), "nothing but failures: %+v", cfg)
	well.Store(true)
	for i := 0; i < 2*most && s.State() != breaker.Closed; i++ {
		time.Sleep(max(2*time.Second, 2*full.Breaker.OpenFor, 2*full.Probe.MaxDownInterval))
		_, _ = s.GetRaw(t.Context(), "k")
	}
	require.Equal(t, breaker.Closed, s.State(), "nothing but good news: %+v", cfg)
}
