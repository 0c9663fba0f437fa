package kvtest

import (
	"context"
	"errors"
	"sync"

	"github.com/holdfastkv/holdfast/resilient"
)

// plantedHealth are mistakes about health checks.
var plantedHealth = []mistake{
	{"Health is nil after Close", "Health/AfterClose_ErrClosed", func(w *twisted, _ <-chan struct{}) {
		w.health = func(ctx context.Context) error { return ctx.Err() }
	}},
	{"Health fails at first", "Health/Healthy_Nil", func(w *twisted, _ <-chan struct{}) {
		w.health = func(context.Context) error { return resilient.ErrHealthUnknown }
	}},
	{"an impatient caller makes the store unhealthy", "Health/PreCancelled", func(w *twisted, _ <-chan struct{}) {
		var verdict error
		w.health = func(ctx context.Context) error {
			verdict = errors.Join(verdict, ctx.Err())
			return verdict
		}
	}},
	{"Health waits for the server whatever ctx does", "Health/HonoursCtx", func(w *twisted, end <-chan struct{}) {
		w.health = func(ctx context.Context) error {
			if _, limited := ctx.Deadline(); limited && ctx.Err() == nil {
				<-end
			}
			return w.KV.Health(ctx)
		}
	}},
	{"Health leaves its canary", "Health/NoSideEffectsOnKeys", func(w *twisted, _ <-chan struct{}) {
		w.health = func(ctx context.Context) error { return w.KV.SetRaw(ctx, "canary", nil) }
	}},
	{"one check at a time, the others fail", "Health/ConcurrentHealth100", func(w *twisted, _ <-chan struct{}) {
		var mu sync.Mutex
		w.health = func(ctx context.Context) error {
			if !mu.TryLock() {
				return errPlanted
			}
			defer mu.Unlock()
			dawdle()
			return w.KV.Health(ctx)
		}
	}},
	{"each check opens a connection", "Health/DoesNotLeakConnections", func(w *twisted, end <-chan struct{}) {
		w.health = func(ctx context.Context) error {
			w.leakFile(end)
			return w.KV.Health(ctx)
		}
	}},
	{"Health is nil while writes fail", "Health/AgreesWithDataPath", func(w *twisted, _ <-chan struct{}) {
		n := 0
		w.set = func(ctx context.Context, key string, value []byte) error {
			if n++; n > 20 {
				return errPlanted
			}
			return w.KV.SetRaw(ctx, key, value)
		}
	}},
}
