package failover

import (
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// answered notes that p has the entries, or may have them (err).
func (f *KV) answered(entries []*entry, p *peer, err error) {
	now := time.Now()
	left := resilient.Left(err)
	for _, e := range entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		switch {
		case err == nil && e.tainted.has(p.i):
			// An earlier call may undo this one: p stays owed.
		case err == nil:
			e.owed = e.owed.without(p.i)
		case left != nil:
			e.taintLocked(p.i, len(f.peers)).running++
		default:
			e.taintLocked(p.i, len(f.peers)).ended = now
			if planted("ambforget") {
				e.owed = e.owed.without(p.i)
			}
		}
		s.mu.Unlock()
	}
	if left != nil {
		f.watch(entries, p, left)
	}
}

// decide makes the entries the versions that reads get from now on.
func (f *KV) decide(entries []*entry) {
	for _, e := range entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		e.decideLocked()
		s.mu.Unlock()
	}
}

// watch waits for a call that its caller has left to return: what it did may
// take effect until then.
func (f *KV) watch(entries []*entry, p *peer, left <-chan struct{}) {
	f.work.Go(func() {
		select {
		case <-left:
		case <-f.ctx.Done():
			return
		}
		f.returned(entries, p, true)
		p.nudge()
	})
}

// returned notes that a call to p that had been left running has ended;
// ambiguous, if what it did may still take effect.
func (f *KV) returned(entries []*entry, p *peer, ambiguous bool) {
	now := time.Now()
	for _, e := range entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		t := e.taintLocked(p.i, len(f.peers))
		t.running--
		if t.strays > t.running {
			t.strays--
			p.quieting.stray(-1, now)
		}
		if ambiguous {
			t.ended = now
		}
		s.mu.Unlock()
	}
}

// got notes that p, which was owed e, has it, if e is still the newest version
// of its key. The key's lock is held.
func (f *KV) got(e *entry, p *peer) {
	f.cleared(e, p, func() { e.owed = e.owed.without(p.i) })
	if planted("nocleanrec") && e.owed == 0 && e.seq != 0 {
		_ = f.journal.Forget(Record{Key: e.key, Seq: e.seq})
		e.seq = 0
	}
}

// removed notes that p has no copy of e's key any more. The key's lock is held.
func (f *KV) removed(e *entry, p *peer) {
	f.cleared(e, p, func() { e.remove = e.remove.without(p.i) })
}

// cleared applies change to e unless that is no longer the newest version.
func (f *KV) cleared(e *entry, p *peer, change func()) {
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[e.key] != e {
		return
	}
	change()
	f.relistLocked(s, e, e.listed, time.Now())
}

// relistLocked brings e's place among what is owed, which prev had until now,
// up to what e asks for: with nobody owed, whoever holds a copy is told that it
// can go. The key's lock is held.
func (f *KV) relistLocked(s *stripe, e *entry, prev *backlogItem, now time.Time) {
	e.listed = f.backlog.set(prev, e, now)
	f.retireLocked(s, e)
	if e.owed != 0 {
		return
	}
	for _, p := range f.peers {
		if e.remove.has(p.i) {
			p.nudge()
		}
	}
}

// leaveBehind lets the calls that are still pending end by themselves. They
// count as running until they have, and a member that answers OK after all is
// no longer owed the write.
func (w *spread) leaveBehind() {
	f := w.f
	left := w.pending
	w.pending = 0
	for _, p := range w.order {
		if left.has(p.i) {
			p.behind.Add(1)
		}
	}
	f.work.Go(func() {
		defer time.AfterFunc(w.patience(), w.end).Stop()
		for range left.Len() {
			w.late(<-w.results)
		}
	})
}

// late takes note of an answer for which nobody waited.
func (w *spread) late(r result) {
	f, p := w.f, r.p
	p.behind.Add(-1)
	err := w.verdict(r)
	if left := resilient.Left(err); left != nil {
		f.watch(w.entries, p, left) // goes on being counted as running
		return
	}
	f.returned(w.entries, p, err != nil && !refused(err))
	p.nudge()
	if err != nil || f.overlay.lock(f.ctx, w.stripes) != nil {
		return
	}
	defer f.overlay.unlock(w.stripes)
	for _, e := range w.entries {
		if !f.isTainted(e, p) {
			f.got(e, p)
		}
	}
}

// isTainted reports whether e was written to p while an earlier call could take
// effect there, or one still can.
func (f *KV) isTainted(e *entry, p *peer) bool {
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	tainted := e.tainted.has(p.i)
	s.mu.Unlock()
	return tainted || f.isBlocked(e, p)
}

// isBlocked reports whether another call to p can still take effect on e's key.
func (f *KV) isBlocked(e *entry, p *peer) bool {
	quiet := p.quieting.before(time.Now())
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.blocked(p, quiet)
}
