package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// Active returns the name of the member that calls try first; "" if all are
// drained.
func (f *KV) Active() string {
	if p := f.route.view.Load().active; p != nil {
		return p.name
	}
	return ""
}

// Owed returns, for each member that has not got some writes yet, how many.
func (f *KV) Owed() map[string]int {
	owed := map[string]int{}
	for _, p := range f.peers {
		if n := f.backlog.count(p.i).writes; n > 0 {
			owed[p.name] = n
		}
	}
	return owed
}

// Health returns nil if a read and a write could be served now, ErrReadOnly or
// ErrJournalFull if only a read could. It asks no member: it tells what is known
// of them.
func (f *KV) Health(ctx context.Context) error {
	if err := f.ready(ctx, resilient.OpHealth); err != nil {
		return err
	}
	if !slices.ContainsFunc(f.route.view.Load().order, func(p *peer) bool { return p.m.Store().State() != breaker.Open }) {
		return &Error{Op: resilient.OpHealth, Class: resilient.Refused}
	}
	if why := f.readOnly(f.journal.Status()); why != nil {
		return &Error{Op: resilient.OpHealth, Class: resilient.Refused, reason: why}
	}
	return nil
}

// readOnly returns why the group takes no write whoever is there; nil = it does.
func (f *KV) readOnly(journal resilient.JournalStatus) error {
	switch {
	case f.cfg.Writes == PrimaryOnly && !f.writable():
		return ErrReadOnly
	case journal.State == resilient.JournalFull:
		return ErrJournalFull
	}
	return nil
}

// Status returns a snapshot of the group and of its members.
func (f *KV) Status() resilient.Status {
	st := resilient.Status{Name: f.cfg.Name, Kind: "failover", Active: f.Active()}
	st.Owed, st.OwedBytes, st.OldestOwed = f.backlog.total()
	st.Since, st.Reason = f.since()
	st.Journal = f.journal.Status()
	serving := 0
	for _, p := range f.peers {
		m := p.m.Store().Status()
		m.Name = p.name
		o := f.backlog.count(p.i)
		m.Owed = o.writes
		if o != (owing{}) {
			m.HandBack = p.stalled()
		}
		m.Drained = f.route.standing(p.i).drained
		st.InFlight += m.InFlight
		st.Members = append(st.Members, m)
		if !m.Drained && p.m.Store().State() != breaker.Open {
			serving++
		}
	}
	st.ReadOnly = serving > 0 && f.readOnly(st.Journal) != nil
	switch {
	case serving == 0 || f.closing.Load():
		st.Condition = resilient.Down
	case st.Journal.State != "" || st.Owed > 0 || st.Active != f.peers[0].name || serving < len(f.peers):
		st.Condition = resilient.Degraded
	default:
		st.Condition = resilient.Up
	}
	return st
}

// switched is the last change of the active member.
type switched struct {
	at     time.Time
	reason string
}

func (f *KV) since() (time.Time, string) {
	if s := f.lastSwitch.Load(); s != nil {
		return s.at, s.reason
	}
	return f.began, ""
}

// tellSwitch is told of each change of the active member, in order.
func (f *KV) tellSwitch(from, to *peer, reason string) {
	now := time.Now()
	f.lastSwitch.Store(&switched{now, reason})
	keys, _, _ := f.backlog.total()
	e := resilient.Event{Kind: resilient.KindSwitch, Time: now, Reason: reason, Count: keys, Nobody: to == nil}
	if from != nil {
		e.From = from.name
	}
	if to != nil {
		e.To, e.Store, e.Degraded = to.name, to.name, to.i != 0
		e.Nobody = f.route.standing(to.i).state == breaker.Open // with all away, calls still try the first of them first
		e.Back = (from == nil || to.i < from.i) && !e.Nobody
	}
	if f.cfg.Observer != nil {
		f.tell(context.Background(), e)
	}
}

// Drain takes a member out: it serves no call and gets no write until Release.
// What it misses is owed to it. It is an error if no member is called that, as
// of Release, Rebuild and Discard, and resilient.ErrClosed after Close.
func (f *KV) Drain(member string) error { return f.drain(member, true) }

// Release lets a drained member in again. Errors are those of Drain.
func (f *KV) Release(member string) error { return f.drain(member, false) }

func (f *KV) drain(member string, out bool) error {
	if f.closing.Load() {
		return resilient.ErrClosed
	}
	p, err := f.named(member)
	if err != nil {
		return err
	}
	f.route.drain(p.i, out)
	p.nudge()
	return nil
}

// Failback returns to the first healthy member now, whatever Config.Failback
// says. It returns ctx's error if that has ended, and resilient.ErrClosed after
// Close.
func (f *KV) Failback(ctx context.Context) error {
	switch {
	case f.closing.Load():
		return resilient.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	f.route.failback()
	return nil
}

func (f *KV) named(member string) (*peer, error) {
	for _, p := range f.peers {
		if p.name == member {
			return p, nil
		}
	}
	return nil, fmt.Errorf("failover: no member is called %q", member)
}
