package resilient

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hollow is an error that a store returned as a nil pointer, by the classic
// mistake: its methods panic.
type hollow struct{ err error }

func (h *hollow) Error() string { return h.err.Error() }
func (h *hollow) Unwrap() error { return h.err }

// A health check runs on a goroutine of the Store's own, where a panic is the
// end of the process.
func TestRegression_AHealthErrorWhoseMethodsPanicEndsTheProcess(t *testing.T) {
	for name, cfg := range map[string]Config{
		"the error":                steady(),
		"the classifier":           {Probe: Probe{Jitter: -1}, Classify: func(err error) Class { panic(err) }},
		"one that does not return": {Probe: Probe{Jitter: -1}, Classify: func(error) Class { runtime.Goexit(); return OK }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, rec := newFake(), &recorder{}
				var sick atomic.Bool
				sick.Store(true)
				f.health = func(context.Context) error {
					switch {
					case !sick.Load():
						return nil
					case cfg.Classify != nil:
						return errBroken
					}
					return (*hollow)(nil)
				}
				cfg.Observer = rec
				s := wrap(t, f, cfg)
				err := s.Health(t.Context())
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, Failed, e.Class)
				time.Sleep(10 * time.Second)
				require.Equal(t, open, s.State().String(), "three failed checks")
				require.Equal(t, Failed, rec.of(KindProbe)[0].Class)
				sick.Store(false)
				time.Sleep(10 * time.Second)
				require.Equal(t, closed, s.State().String())
			})
		})
	}
}
