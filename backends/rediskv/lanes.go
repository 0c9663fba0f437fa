package rediskv

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lanes is a pool of clients with one connection each. A call has a lane of its
// own while it lasts: that is how the end of its ctx finds the connection to
// close, for the driver cannot be interrupted while it reads.
type lanes struct {
	opts  *redis.Options
	turns chan struct{} // holds one token for each lane in use

	mu struct {
		sync.Mutex
		idle []*lane // the last used is the next to be used
		all  []*lane
	}
}

var _ runner = (*lanes)(nil)

func newLanes(opts *redis.Options, cfg Config) *lanes {
	return &lanes{opts: opts, turns: make(chan struct{}, cfg.PoolSize)}
}

// run makes a call on a lane that nobody else uses.
func (l *lanes) run(ctx context.Context, do func(ctx context.Context, c redis.UniversalClient) error) error {
	if err := take(ctx, l.turns); err != nil {
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
	l.mu.all = append(l.mu.all, ln)
	return ln
}

func (l *lanes) giveBack(ln *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.idle = append(l.mu.idle, ln)
}

func (l *lanes) leaves() bool { return false }

func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.mu.all {
		ln.close()
	}
}

// take puts a token into turns. It waits until ctx ends, but at most for
// poolTimeout; its errors say that nothing was sent.
func take(ctx context.Context, turns chan struct{}) error {
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
	case <-timer.C:
		return unsent(fmt.Sprintf("all %d places are taken", cap(turns)), redis.ErrPoolTimeout)
	}
}
