package failover

import (
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// answered notes that p has the entries, or may have them (err). In either
// case they are decided from now on.
func (f *KV) answered(entries []*entry, p *peer, err error) {
	now := time.Now()
	quiet := p.quieting.before(now)
	left := resilient.Left(err)
	for _, e := range entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		switch {
		case err == nil && !e.taints.blocks(p.i, quiet):
			e.owed = e.owed.without(p.i)
		case err == nil:
			// An earlier call may yet undo this one: p stays owed.
		case left != nil:
			e.taintLocked(p.i, len(f.peers)).running++
		default:
			e.taintLocked(p.i, len(f.peers)).ended = now
		}
		e.decideLocked()
		s.mu.Unlock()
	}
	if left != nil {
		f.watch(entries, p, left)
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
		if ambiguous {
			t.ended = now
		}
		s.mu.Unlock()
	}
}

// settle ends w's entries' being written: what is owed is in the journal when
// it returns, and listed for hand-back. It returns who is owed something, and
// the journal's error. The keys' locks are held.
func (w *spread) settle() (owed Members, err error) {
	f := w.f
	var recs []Record
	var forget []string
	for _, e := range w.entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		e.decideLocked()
		for _, p := range w.order {
			if w.pending.has(p.i) {
				e.taintLocked(p.i, len(f.peers)).running++
			}
		}
		owed |= e.owed
		switch {
		case e.owed != 0:
			recs = append(recs, e.record(e.owed, false))
		case e.recorded:
			forget = append(forget, e.key)
		}
		s.mu.Unlock()
	}
	if len(recs) > 0 {
		err = f.journal.Put(recs...)
	}
	if len(forget) > 0 {
		f.journal.Forget(forget...)
	}
	now := time.Now()
	for _, e := range w.entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		var before *backlogItem
		if e.prev != nil {
			before, e.prev = e.prev.listed, nil
		}
		e.recorded = e.recorded || e.owed != 0 && err == nil
		f.listLocked(s, e, before, now)
		s.mu.Unlock()
	}
	return owed, err
}

// listLocked lists e for hand-back in place of before, or drops it from the
// overlay if nobody is owed it.
func (f *KV) listLocked(s *stripe, e *entry, before *backlogItem, now time.Time) {
	e.listed = f.backlog.set(before, e, e.owed, now)
	if e.owed == 0 {
		f.overlay.dropLocked(s, e)
	}
}

// got notes that p, which was owed e, has it, if e is still the newest version
// of its key. The key's lock is held.
func (f *KV) got(e *entry, p *peer) {
	quiet := p.quieting.before(time.Now())
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	if s.m[e.key] != e || e.taints.blocks(p.i, quiet) {
		s.mu.Unlock()
		return
	}
	e.owed = e.owed.without(p.i)
	f.listLocked(s, e, e.listed, time.Now())
	forget := e.owed == 0 && e.recorded
	s.mu.Unlock()
	if forget {
		f.journal.Forget(e.key)
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
		f.got(e, p)
	}
}
