package guard

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/holdfastkv/holdfast/resilient"
)

// closedBit is set in Gate.state for good by Shut; the bits below count the
// calls inside.
const closedBit = 1 << 62

// Gate lets calls in until it is shut, and tells when the last one has left.
// The zero Gate is not usable; use NewGate. All methods are safe for concurrent
// use; Enter and Leave take no lock.
type Gate struct {
	state atomic.Int64
	empty chan struct{} // closed when the gate is shut and nobody is inside
	once  struct{ shut, empty sync.Once }

	// closing is nobody's call: it is how Shut reaches the calls inside.
	closing context.Context
	end     context.CancelFunc
}

// NewGate returns an open gate.
func NewGate() *Gate {
	closing, end := context.WithCancel(context.Background())
	return &Gate{empty: make(chan struct{}), closing: closing, end: end}
}

// Enter lets a call in, which must Leave, or returns resilient.ErrClosed.
func (g *Gate) Enter() error {
	if g.state.Add(1)&closedBit != 0 {
		g.Leave()
		return resilient.ErrClosed
	}
	return nil
}

// Admit is how a call begins: it lets the call in if ctx has not ended, and
// returns resilient.ErrClosed or else ctx's error. A nil error is followed by
// Leave.
func (g *Gate) Admit(ctx context.Context) error {
	if err := g.Enter(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		g.Leave()
		return err
	}
	return nil
}

// Leave undoes one Enter.
func (g *Gate) Leave() {
	if g.state.Add(-1) == closedBit {
		g.once.empty.Do(func() { close(g.empty) })
	}
}

// Shut refuses all later calls; it does not wait. It reports whether this call
// was the one that shut the gate.
func (g *Gate) Shut() (first bool) {
	g.once.shut.Do(func() {
		first = true
		g.end()
		if g.state.Or(closedBit) == 0 {
			g.once.empty.Do(func() { close(g.empty) })
		}
	})
	return first
}

// IsShut returns a channel that is closed once the gate is shut.
func (g *Gate) IsShut() <-chan struct{} { return g.closing.Done() }

// Empty returns a channel that is closed once the gate is shut and every call
// that was let in has left.
func (g *Gate) Empty() <-chan struct{} { return g.empty }
