package failover

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// view is the order in which calls try the members. It never changes: what
// changes is which view is the present one.
type view struct {
	order  []*peer // ready ones first, each part most wanted first; drained ones are not in it
	ready  int     // how many of order are ready
	active *peer   // the one that calls try first; nil if all are drained
	first  *peer   // active, if it is the first member and ready; else nil
	// doubtful members are sent a write only if no other takes it: their
	// breaker is open, or a call to them timed out and no check has cleared
	// them since.
	doubtful Members
}

// route keeps the present view. It is told what happens to members and tells
// of each change of the active one.
type route struct {
	cfg      Failback
	peers    []*peer
	view     atomic.Pointer[view]
	switched func(from, to *peer, reason string) // called in order, no lock held
	ordered  ordered

	mu      sync.Mutex // guards all below
	members []standing
	timer   *time.Timer // next end of a hold; nil before the first
	closed  bool
}

// standing is what the route knows of one member.
type standing struct {
	state   breaker.State
	suspect time.Time // since when a call's time-out is in doubt; zero = not
	drained bool
	hold    hold
}

func newRoute(cfg Failback, peers []*peer, switched func(from, to *peer, reason string)) *route {
	r := &route{cfg: cfg, peers: peers, switched: switched, members: make([]standing, len(peers))}
	r.view.Store(r.arrange(time.Now()))
	return r
}

// rank orders members by how well they can be trusted with a call; members of
// one rank stand in their priority order.
func (s *standing) rank(now time.Time) int {
	switch {
	case s.state == breaker.Open:
		return 4
	case !s.suspect.IsZero():
		return 3
	case s.state == breaker.HalfOpen:
		return 2
	case s.hold.holds(now):
		return 1
	}
	return 0
}

// arrange makes the view of how members stand now. Its caller holds mu or is
// the only one who knows r.
func (r *route) arrange(now time.Time) *view {
	v := &view{}
	for i := range r.members {
		s := &r.members[i]
		if s.drained {
			continue
		}
		v.order = append(v.order, r.peers[i])
		if s.rank(now) == 0 {
			v.ready++
		}
		if s.rank(now) >= 3 {
			v.doubtful = v.doubtful.with(i)
		}
	}
	slices.SortStableFunc(v.order, func(a, b *peer) int {
		return r.members[a.i].rank(now) - r.members[b.i].rank(now)
	})
	if len(v.order) > 0 {
		v.active = v.order[0]
		if v.ready > 0 && v.active.i == 0 {
			v.first = v.active
		}
	}
	return v
}

// update changes how members stand and makes the view that follows from it.
func (r *route) update(reason string, change func(now time.Time, m []standing)) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	now := time.Now()
	change(now, r.members)
	before, after := r.view.Load(), r.arrange(now)
	r.view.Store(after)
	r.armLocked(now)
	if before.active != after.active {
		r.ordered.add(func() { r.switched(before.active, after.active, reason) })
	}
	r.mu.Unlock()
	r.ordered.run()
}

// armLocked sets the timer to the next end of a hold.
func (r *route) armLocked(now time.Time) {
	var next time.Time
	for i := range r.members {
		if end := r.members[i].hold.end(now); !end.IsZero() && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	switch {
	case next.IsZero():
	case r.timer == nil:
		r.timer = time.AfterFunc(next.Sub(now), r.holdEnded)
	default:
		r.timer.Reset(next.Sub(now))
	}
}

func (r *route) holdEnded() {
	r.update("back for long enough", func(time.Time, []standing) {})
}

// moved takes note of a change of member i's breaker.
func (r *route) moved(i int, c breaker.Change) {
	r.update(c.Reason, func(now time.Time, m []standing) {
		m[i].state = c.To
		switch c.To {
		case breaker.Open:
			m[i].hold.left(now)
		case breaker.Closed:
			m[i].hold.back(now, r.cfg)
		}
	})
}

// suspected takes note that a call to member i timed out. It reports whether
// the member was not suspect before.
func (r *route) suspected(i int) (first bool) {
	if r.isSuspect(i) {
		return false
	}
	r.update("a call timed out", func(now time.Time, m []standing) {
		if m[i].suspect.IsZero() {
			m[i].suspect = now
			first = true
		}
	})
	return first
}

// checked takes note of a good health check of member i. It reports whether
// that cleared the member of suspicion.
func (r *route) checked(i int, began time.Time) (cleared bool) {
	if !r.isSuspect(i) {
		return false
	}
	r.update("a health check is good", func(_ time.Time, m []standing) {
		if !m[i].suspect.IsZero() && m[i].suspect.Before(began) {
			m[i].suspect = time.Time{}
			cleared = true
		}
	})
	return cleared
}

func (r *route) isSuspect(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.members[i].suspect.IsZero()
}

// drain takes member i out, or lets it in again: its peer knows too.
func (r *route) drain(i int, out bool) {
	reason := "drained by the operator"
	if !out {
		reason = "released by the operator"
	}
	r.update(reason, func(_ time.Time, m []standing) {
		m[i].drained = out
		r.peers[i].drained.Store(out) // here, lest two operators at once leave them apart
	})
}

// failback ends every hold.
func (r *route) failback() {
	r.update("failback by the operator", func(_ time.Time, m []standing) {
		for i := range m {
			m[i].hold.release()
		}
	})
}

// standing returns a copy of how member i stands.
func (r *route) standing(i int) standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[i]
}

func (r *route) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
