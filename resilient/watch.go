package resilient

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// errNoStore is the check of a nil store.
var errNoStore = errors.New("resilient: the store is nil")

// CheckHealth makes one health check of kv. It ends at ctx's deadline, or after
// 2 s if ctx has none, even if kv ignores its context; the goroutine of such a
// check is left behind until kv returns. A nil kv, and a ctx that has ended, is
// the Err of the Check.
func CheckHealth(ctx context.Context, kv KVWithHealth) Check {
	timeout := healthTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline), 0)
	}
	c, _, _ := checkStore(ctx, kv, timeout, Probe{}.withDefaults().SlowAfter)
	return c
}

// checkStore is check for a store that may be nil and a ctx that may be over.
func checkStore(ctx context.Context, kv KVWithHealth, timeout, slowAfter time.Duration) (Check, verdict, *checkup) {
	switch err := ctx.Err(); {
	case isNil(kv):
		return Check{Time: time.Now(), Err: errNoStore}, verdict{}, nil
	case err != nil:
		return Check{Time: time.Now(), Err: err}, verdict{}, nil
	}
	return check(ctx, timeout, slowAfter, kv.Health, DefaultClassify)
}

// Watch checks the health of kv again and again and gives each Check to fn, on
// the caller's goroutine. It returns when ctx is done; a check that this cut
// short is not given to fn. The intervals are those of p: Interval while checks
// are good, FastInterval after a failed one, DownInterval, growing, after three
// in a row; a negative Interval means no checks. A check that hangs fails after
// p.Timeout; no second one is started beside it. A field of p that Wrap would not
// take stands for its default.
func Watch(ctx context.Context, kv KVWithHealth, p Probe, fn func(Check)) {
	p.mend(func(string, string, ...any) {}) // there is nobody to tell
	p = p.withDefaults()
	if p.Interval < 0 {
		<-ctx.Done()
		return
	}
	pace := pace{cfg: p}
	timer := time.NewTimer(pace.first(rand.Float64())) //#nosec G404 -- jitter, nothing secret
	defer timer.Stop()
	var hung *checkup
	failed := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		var c Check
		var v verdict
		if hung.hangs() {
			c = hung.result(p.SlowAfter)
			c.Err = &lateError{after: c.Latency}
		} else {
			c, v, hung = checkStore(ctx, kv, p.Timeout, p.SlowAfter)
		}
		if ctx.Err() != nil {
			return
		}
		m := mood{good: c.Err == nil || v.unknown}
		failed++
		if m.good {
			failed = 0
		}
		if failed >= 3 {
			m.state = breaker.Open
		}
		fn(c)
		timer.Reset(pace.next(m, rand.Float64())) //#nosec G404 -- jitter, nothing secret
	}
}

// Group is a set of stores that are checked together, by name.
type Group map[string]KVWithHealth

// groupWidth is how many stores of a Group are checked at once.
const groupWidth = 64

// CheckAll checks the health of all stores side by side, at most 64 at once,
// each as CheckHealth does, and returns the checks by name.
func (g Group) CheckAll(ctx context.Context) map[string]Check {
	var (
		places = make(chan struct{}, groupWidth)
		wait   sync.WaitGroup
		mu     sync.Mutex // guards checks
		checks = make(map[string]Check, len(g))
	)
	for name, kv := range g {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			c := CheckHealth(ctx, kv)
			mu.Lock()
			defer mu.Unlock()
			checks[name] = c
		})
	}
	wait.Wait()
	return checks
}

// AllHealthy reports whether every store is healthy. One whose health is
// unknown is not; a Group of none is.
func (g Group) AllHealthy(ctx context.Context) bool {
	for _, c := range g.CheckAll(ctx) {
		if c.Err != nil {
			return false
		}
	}
	return true
}
