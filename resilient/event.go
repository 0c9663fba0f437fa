package resilient

import (
	"context"
	"time"
)

// Kind says what an Event tells.
type Kind uint8

// The kinds of events.
const (
	KindCall       Kind = iota // one attempt of a call at a store ended
	KindDone                   // one call ended as its caller saw it
	KindProbe                  // a health check ended
	KindChange                 // a breaker changed its state
	KindSwitch                 // a group serves from another member
	KindOwed                   // a write is owed to a member
	KindHandedBack             // a hand-back pass ended: it has delivered some, or has come to deliver nothing
	KindStale                  // a cache answered in place of the store
	KindLost                   // a write was given up
)

var kindNames = [...]string{"call", "done", "probe", "change", "switch", "owed", "handed-back", "stale", "lost"}

// String returns the kind in lower case: "call", "done", ...
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Event is something that happened. Fields that do not apply are zero. An
// Event holds no key and no value.
type Event struct {
	Kind      Kind
	Time      time.Time // when it ended
	Group     string    // Config.Name of the failover group; "" outside of one
	Store     string    // Config.Name of the store, or what its group calls it; for Done: who answered
	Op        Op
	Class     Class
	Duration  time.Duration // of the call or check; least time open (Change); the journal's (Owed)
	Age       time.Duration // of the value (Stale) or of the oldest owed write
	Attempt   int           // 1 for the first
	Count     int           // writes owed, handed back or lost
	Slow      bool          // the check took longer than Probe.SlowAfter
	Degraded  bool          // not served by the most wanted member
	Stale     bool          // served by a cache in place of the store
	Back      bool          // the switch is to a more wanted member, which can serve
	Nobody    bool          // the switch is to a member that is away too, or to none: nobody serves
	Ambiguous bool          // a write that may have been applied
	Outcome   string        // Call: what the breaker was told of it, a breaker.Outcome in words; "" = nothing, it was refused before
	From, To  string        // states (Change) or members (Switch)
	Reason    string
	Err       error
}

// Observer is told what happens. Done events come on the caller's goroutine and
// Call events on that which calls the store: the caller's too, but for writes and
// hand-backs of a group, whose members are called on goroutines of the group. All
// others come on any; no lock is held. Observe must be safe for concurrent use
// and should not block: it delays whoever tells it. A panic in Observe is
// contained and loses no later event.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// Tee returns an Observer that tells each of obs, in order, every event. Nil
// observers are left out; a panic in one does not keep the event from the
// others.
func Tee(obs ...Observer) Observer {
	t := make(tee, 0, len(obs))
	for _, o := range obs {
		if o != nil {
			t = append(t, o)
		}
	}
	return t
}

type tee []Observer

func (t tee) Observe(ctx context.Context, e Event) {
	for _, o := range t {
		Tell(ctx, o, e)
	}
}

// Tell gives e to o and contains a panic of o; a nil o is told nothing. It is
// how every package of Holdfast tells its observers.
func Tell(ctx context.Context, o Observer, e Event) {
	if o == nil {
		return
	}
	defer func() { _ = recover() }()
	o.Observe(ctx, e)
}
