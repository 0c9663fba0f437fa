package rediskv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfastkv/holdfast/backends/internal/guard"
	"github.com/holdfastkv/holdfast/resilient"
)

// leaveEvery is how often a server that is and stays a replica costs new
// connections.
const leaveEvery = time.Second

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
		era  uint64    // lanes of an older one are not used again
		left time.Time // when the last one ended
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
	err := ln.run(ctx, do)
	if ofReplica(err) {
		l.abandon()
	}
	return err
}

// abandon gives up all connections, at most once in leaveEvery, because a server
// has said that it is a replica: it may be the old primary under a name that
// points to the new one by now. Others of them would go on with it, and reads be
// answered with what was overwritten. Those in use end when they are given back.
func (l *lanes) abandon() {
	l.mu.Lock()
	if time.Since(l.mu.left) < leaveEvery {
		l.mu.Unlock()
		return
	}
	l.mu.left = time.Now()
	l.mu.era++
	idle := l.mu.idle
	l.mu.idle = nil
	l.mu.all = slices.DeleteFunc(l.mu.all, func(ln *lane) bool { return slices.Contains(idle, ln) })
	l.mu.Unlock()
	for _, ln := range idle {
		ln.end()
	}
}

// ofReplica reports whether err is the answer of a server that is a replica.
func ofReplica(err error) bool {
	var reply redis.Error
	return errors.Is(err, errReplica) || errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "READONLY ")
}

func (l *lanes) lease() *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.mu.idle); n > 0 {
		ln := l.mu.idle[n-1]
		l.mu.idle = l.mu.idle[:n-1]
		return ln
	}
	ln := newLane(l.opts, l.mu.era)
	if l.mu.shut {
		ln.shut()
	}
	l.mu.all = append(l.mu.all, ln)
	return ln
}

func (l *lanes) giveBack(ln *lane) {
	l.mu.Lock()
	if ln.era == l.mu.era {
		l.mu.idle = append(l.mu.idle, ln)
		l.mu.Unlock()
		return
	}
	l.mu.all = slices.DeleteFunc(l.mu.all, func(other *lane) bool { return other == ln })
	l.mu.Unlock()
	ln.end()
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
