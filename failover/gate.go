package failover

import "sync"

// gate counts who is inside, until it is shut: nobody comes in any more, and
// whoever has shut it can wait for those who are.
type gate struct {
	mu     sync.Mutex // guards all below
	inside int
	empty  chan struct{} // closed when the last one has left; nil until it is shut
}

// enter reports false if the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
	}
}

// shut is called once. It returns what is closed when nobody is inside.
func (g *gate) shut() (empty <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	return g.empty
}
