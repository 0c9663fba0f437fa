package failover

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// peer is one member of the group.
type peer struct {
	i    int    // its place: 0 is the most wanted
	name string // unique in the group
	m    *resilient.Member
	bare resilient.KVWithHealth // what New wrapped, for Close; nil for a Store of the user's
	// complete says that a miss here is an answer.
	complete atomic.Bool
	// unclean says that calls of an earlier process, which had no time to say
	// what it left behind, may still take effect.
	unclean  bool
	joinedAt time.Time
	// window is how long after a good health check an ambiguous call may still
	// take effect.
	window    time.Duration
	quieting  quieting
	drained   atomic.Bool   // by the operator
	repairing atomic.Bool   // Rebuild or Discard is at work
	onTrial   atomic.Bool   // a trial call is under way
	proven    atomic.Uint64 // the breaker's generation in which trials are of no more use; 0 = none
	behind    atomic.Int32  // calls that writes no longer wait for
	stalls    struct {
		sync.Mutex // guards stall
		stall
	}
	wake chan struct{} // tells the hand-back that something has changed
}

// maxBehind is how many calls at one member may have been left behind by their
// writes. A member that is slower than the writes come is owed the rest, so
// that its backlog is keys in the overlay and not goroutines.
const maxBehind = 256

// minQuiet is the least time for which an ambiguous call is taken to be able
// to apply after a good health check.
const minQuiet = 2 * time.Second

func newPeer(i int, name string, complete bool) *peer {
	p := &peer{i: i, name: name, joinedAt: time.Now(), wake: make(chan struct{}, 1)}
	p.complete.Store(complete)
	return p
}

// joined is called once p.m is set, before its first call.
func (p *peer) joined() {
	p.window = max(2*p.m.Timeout(resilient.OpSet), minQuiet)
	p.quieting.setWindow(p.window)
}

// give makes value what p has under key, or with delete nothing; a key that is
// not there is gone.
func (p *peer) give(ctx context.Context, key string, value []byte, delete bool) error {
	if !delete {
		return p.m.SetRaw(ctx, key, value)
	}
	err := p.m.Delete(ctx, key)
	if classOf(err) == resilient.Missing {
		return nil
	}
	return err
}

// nudge wakes the hand-back of p.
func (p *peer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
