package rediskv

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// lanes is a pool of clients with one connection each. A call has a lane of its
// own while it lasts: that is how the end of its ctx finds the connection to
// close, for the driver cannot be interrupted while it reads.
type lanes struct {
	gate  *guard.Gate
	opts  *redis.Options
	turns chan struct{} // holds one token for each lane in use

	mu struct {
		sync.Mutex
		idle []*lane // the last used is the next to be used
		all  []*lane
		shut bool
	}
}

var _ runner = (*lanes)(nil)

func newLanes(gate *guard.Gate, opts *redis.Options, cfg Config) *lanes {
	return &lanes{gate: gate, opts: opts, turns: make(chan struct{}, cfg.PoolSize)}
}

// enter does without a context that ends with the gate, which would cost more
// than all else beside the driver: shut closes the connections.
func (l *lanes) enter(ctx context.Context, limit time.Duration) (context.Context, func(), error) {
	if err := l.gate.Admit(ctx); err != nil {
		return nil, nil, err
	}
	if _, ok := ctx.Deadline(); ok || limit <= 0 {
		return ctx, l.gate.Leave, nil
	}
	call, end := context.WithTimeoutCause(ctx, limit, resilient.ErrTimeout)
	return call, func() { end(); l.gate.Leave() }, nil
}

// run makes a call on a lane that nobody else uses.
func (l *lanes) run(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) error {
	if err := take(ctx, l.gate, l.turns); err != nil {
		return err
	}
	defer func() { <-l.turns }()
	ln := l.lease()
	defer l.giveBack(ln)
	return ln.run(ctx, do)
}

func (l *lanes) lease() *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.mu.idle); n > 0 {
		ln := l.mu.idle[n-1]
		l.mu.idle = l.mu.idle[:n-1]
		return ln
	}
	ln := newLane(l.opts)
	if l.mu.shut {
		ln.shut()
	}
	l.mu.all = append(l.mu.all, ln)
	return ln
}

func (l *lanes) giveBack(ln *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.idle = append(l.mu.idle, ln)
}

func (l *lanes) leaves() bool { return false }

func (l *lanes) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.shut = true
	for _, ln := range l.mu.all {
		ln.shut()
	}
}

func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.mu.all {
		ln.close()
	}
}

// take puts a token into turns. It waits until ctx ends, but at most for
// poolTimeout or until gate is shut; its errors say that nothing was sent.
func take(ctx context.Context, gate *guard.Gate, turns chan struct{}) error {
	select {
	case turns <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(poolTimeout)
	defer timer.Stop()
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unsent("while waiting for a connection", ctx.Err())
	case <-gate.IsShut():
		return unsent("while waiting for a connection", resilient.ErrClosed)
	case <-timer.C:
		return unsent(fmt.Sprintf("all %d places are taken", cap(turns)), redis.ErrPoolTimeout)
	}
}
