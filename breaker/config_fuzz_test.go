package breaker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzAConfigThatIsTakenOpensAndCloses(f *testing.F) {
	f.Fuzz(func(t *testing.T, failures, minCalls, fall, rise, trials int, rate float64, window, lease, openFor, maxOpenFor, stableFor int64) {
		cfg := Config{
			Failures: failures, MinCalls: minCalls, Fall: fall, Rise: rise, Trials: trials, Rate: rate,
			Window: time.Duration(window), Lease: time.Duration(lease), OpenFor: time.Duration(openFor),
			MaxOpenFor: time.Duration(maxOpenFor), StableFor: time.Duration(stableFor),
		}
		fault := cfg.Validate()
		b, err := New(cfg)
		if fault != nil {
			require.Equal(t, fault, err)
			require.Nil(t, b)
			return
		}
		require.NoError(t, err)
		require.Equal(t, Closed, b.State())
		b.Close()
		full := cfg.withDefaults()
		most := max(full.Failures, full.MinCalls, full.Fall, full.Rise, full.Trials)
		if most > 1000 { // it only takes longer
			return
		}
		// The window goes by the machine's clock, not by the test's.
		full.Window = max(full.Window, time.Hour)
		fz := newFuzzed(t, full)
		for range most + 1 {
			fz.call(Failure)
			fz.verdict(fz.begin(), false)
			fz.check()
		}
		require.NotEqual(t, Closed, fz.m.auto, "nothing but failures, and it is closed")
		for range most + 1 {
			if at, ok := fz.m.due(); ok && at.After(fz.now) {
				fz.now = at
			}
			fz.m.tick(fz.now)
			fz.call(Success)
			fz.verdict(fz.begin(), true)
			fz.check()
		}
		require.Equal(t, Closed, fz.m.auto, "nothing but good news, and it is open")
	})
}
