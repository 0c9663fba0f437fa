package resilient

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// everyGuard returns a Config for each combination of what is done around a
// call; some of it is left out where nobody asks for it.
func everyGuard(rec Observer) (cfgs []Config) {
	for i := range 16 {
		cfg := quiet()
		cfg.Name = fmt.Sprintf("%04b", i)
		cfg.Breaker.Failures = 2
		if i&1 == 0 {
			cfg.Timeout = -1
		}
		if i&2 != 0 {
			cfg.MaxInFlight = 1
		}
		if i&4 != 0 {
			cfg.Observer = rec
		}
		if i&8 != 0 {
			cfg.Retry.Attempts = 2
		}
		cfgs = append(cfgs, cfg)
	}
	return cfgs
}

func TestACallIsEndedInFullHoweverItEndsAndWhateverGuardsIt(t *testing.T) {
	for _, end := range []struct {
		name  string
		call  func() ([]byte, error)
		class Class
		state breaker.State // after two of them
	}{
		{"good", func() ([]byte, error) { return []byte("v"), nil }, OK, breaker.Closed},
		{"missing", func() ([]byte, error) { return nil, ErrNotFound }, Missing, breaker.Closed},
		{"invalid", func() ([]byte, error) { return nil, ErrInvalidKey }, Invalid, breaker.Closed},
		{"broken", func() ([]byte, error) { return nil, errBroken }, Failed, breaker.Open},
		{"panic", func() ([]byte, error) { panic("store") }, Failed, breaker.Open},
		{"exit", func() ([]byte, error) { runtime.Goexit(); return nil, nil }, Failed, breaker.Open},
	} {
		rec := &recorder{}
		mine, cancel := context.WithCancel(t.Context())
		defer cancel()
		heard := observer(func(ctx context.Context, e Event) {
			if e.Kind == KindCall || e.Kind == KindDone {
				require.Same(t, mine, ctx, "told with the caller's ctx")
			}
			rec.Observe(ctx, e)
		})
		for _, cfg := range everyGuard(heard) {
			t.Run(end.name+"/"+cfg.Name, func(t *testing.T) {
				*rec = recorder{}
				var given []context.Context
				f := newFake()
				f.get = func(ctx context.Context, _ string) ([]byte, error) {
					given = append(given, ctx)
					_ = ctx.Done()
					return end.call()
				}
				s := wrap(t, f, cfg)
				for range 2 {
					over := make(chan struct{})
					go func() {
						defer close(over)
						_, _ = s.GetRaw(mine, "k")
					}()
					<-over
				}

				require.Zero(t, s.inFlight.Load(), "a place is given back")
				require.Equal(t, end.state, s.State())
				for _, ctx := range given {
					if cfg.Timeout < 0 {
						require.Same(t, mine, ctx, "without a timeout the store gets the caller's ctx")
					} else {
						require.ErrorIs(t, ctx.Err(), context.Canceled, "a timeout does not outlive its call")
					}
				}
				if cfg.Observer == nil {
					return
				}
				calls, dones := rec.of(KindCall), rec.of(KindDone)
				require.Len(t, calls, len(given)+refusedOf(calls), "one for each attempt")
				require.Len(t, dones, 2, "one for each call")
				require.Equal(t, end.class, calls[0].Class)
				require.Equal(t, end.class, dones[0].Class)
			})
		}
	}
}

// refusedOf returns how many of the attempts never reached the store.
func refusedOf(calls []Event) (n int) {
	for _, e := range calls {
		if e.Reason != "" {
			n++
		}
	}
	return n
}

func TestAGoodCallEndsARowOfFailedOnesWhateverGuardsIt(t *testing.T) {
	for _, cfg := range everyGuard(observer(func(context.Context, Event) {})) {
		t.Run(cfg.Name, func(t *testing.T) {
			var answer error
			f := newFake()
			f.set = func(context.Context, string, []byte) error { return answer }
			s := wrap(t, f, cfg)
			for range 3 { // a row of two opens it
				answer = errBroken
				require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous)
				answer = nil
				require.NoError(t, s.SetRaw(t.Context(), "k", nil))
			}
			require.Equal(t, breaker.Closed, s.State())
		})
	}
}
