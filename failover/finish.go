package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// finish settles w, whose outcome is known as far as it will be waited for,
// and returns what its caller is told.
func (w *spread) finish(ctx context.Context) outcome {
	f := w.f
	w.misread()
	w.errs = f.byPriority(w.said())
	if w.acked|w.unsure|w.pending == 0 {
		err := w.revert(ctx)
		f.overlay.unlock(w.stripes)
		return outcome{err: err}
	}
	owed, counts, err := w.settle(ctx)
	f.journal.Release(w.keys, w.bytes)
	if w.pending != 0 {
		w.leaveBehind()
	}
	f.overlay.unlock(w.stripes)
	o := outcome{owed: owed}
	if o.served, _ = w.leader(); w.acked == 0 {
		o.served = nil
	}
	switch {
	case err != nil:
		o.err = &Error{Op: w.op, Class: resilient.Failed, Members: w.errs, reason: ambiguous(err)}
	case w.acked == 0 && !f.journal.Durable():
		o.err = &Error{Op: w.op, Class: resilient.Failed, Members: w.errs}
	}
	f.tellOwed(ctx, w, counts)
	return o
}

// said returns what members that did not take the write said, and of those that
// have not answered that they took too long.
func (w *spread) said() []*resilient.Error {
	errs := w.errs
	for _, p := range w.order {
		if w.pending.has(p.i) {
			errs = append(errs, &resilient.Error{
				Op: w.op, Store: p.name, Class: resilient.Failed, Attempts: 1, Err: resilient.ErrTimeout,
			})
		}
	}
	return errs
}

// revert takes back a write that every member refused, and returns what its
// caller is told. Where the journal has the intent, the record is put right
// first: if that fails, a restart may roll the write forward.
func (w *spread) revert(ctx context.Context) error {
	f := w.f
	var recs []Record
	for _, e := range w.entries {
		if e.touched() {
			recs = append(recs, e.before(f.seq.Add(1)))
		}
	}
	err, back := error(w.refusal()), false
	if len(recs) > 0 && !planted("lazyrevert") {
		failed := w.keep(ctx, func() error { return f.journal.Put(recs...) })
		if back = failed == nil; !back {
			err = &Error{Op: w.op, Class: resilient.Failed, Members: w.errs, reason: ambiguous(failed)}
		}
	}
	for _, e := range w.entries {
		touched := e.touched()
		newest := f.overlay.restore(e)
		if touched {
			newest.seq, newest.kept = f.seq.Load(), recorded{} // whichever record it is
			if back {
				newest.kept = recorded{newest.owed, newest.remove}
			}
		}
		f.retireIdle(newest)
	}
	f.journal.Release(w.keys, w.bytes)
	return err
}

// ambiguous returns the journal's error as the reason of an ambiguous write: that
// the journal refused a record does not mean that nothing was applied.
func ambiguous(err error) error {
	if errors.Is(err, resilient.ErrRefused) {
		return errors.New(err.Error())
	}
	return err
}

// touched reports whether the write that made e has put a record of it.
func (e *entry) touched() bool {
	return e.prev == nil && e.seq != 0 || e.prev != nil && e.seq != e.prev.seq
}

// before returns the record that the key of e had without e.
func (e *entry) before(seq uint64) Record {
	if e.prev == nil {
		return Record{Key: e.key, Seq: seq}
	}
	return e.prev.record(seq)
}

// refusal is the error of a write that every member refused. What the most
// wanted one found wrong with the call itself is the reason.
func (w *spread) refusal() *Error {
	e := &Error{Op: w.op, Class: resilient.Refused, Members: w.errs, reason: w.fault}
	if len(w.errs) == 0 && w.fault == nil {
		e.reason = errNobody
	}
	if len(w.errs) == 0 || w.fault != nil {
		return e
	}
	switch first := w.errs[0]; {
	case first.Class == resilient.Invalid:
		e.Class, e.reason = resilient.Invalid, first.Err
	case errors.Is(first.Err, resilient.ErrBusy):
		e.reason = resilient.ErrBusy
	}
	return e
}

// settle ends w's entries' being written: what is owed is in the journal when
// they are decided, and listed for hand-back when it returns. It returns who
// is owed something, how many of the entries each member is owed (nil if nobody
// is owed any), and the journal's error. The keys' locks are held.
func (w *spread) settle(ctx context.Context) (owed Members, counts []int, err error) {
	f := w.f
	asks := false
	for _, e := range w.entries {
		owed |= e.owed
		asks = asks || !e.idle()
	}
	var began time.Time
	if owed != 0 {
		began, counts = time.Now(), w.counts()
	}
	if asks && !planted("nojournal") {
		err = w.keep(ctx, func() error { return f.put(w.entries, false) })
	}
	now := time.Now()
	if owed != 0 {
		w.kept = now.Sub(began)
	}
	for _, e := range w.entries {
		s := f.overlay.stripe(e.key)
		s.mu.Lock()
		for _, p := range w.order {
			if w.pending.has(p.i) {
				e.taintLocked(p.i, len(f.peers)).running++
			}
		}
		e.decideLocked()
		var before *backlogItem
		if e.prev != nil {
			before, e.prev = e.prev.listed, nil
		}
		f.relistLocked(s, e, before, now)
		s.mu.Unlock()
	}
	return owed, counts, err
}

// counts returns how many of the entries each member is owed. An earlier call
// that may still take effect at one key leaves its member owed that one alone.
func (w *spread) counts() []int {
	counts := make([]int, len(w.f.peers))
	for _, e := range w.entries {
		for i := range counts {
			if e.owed.has(i) {
				counts[i]++
			}
		}
	}
	return counts
}

// tellOwed tells who is owed how many keys of a write that has been acknowledged
// or may have been applied, and wakes the hand-back.
func (f *KV) tellOwed(ctx context.Context, w *spread, counts []int) {
	for i, count := range counts {
		if count == 0 {
			continue
		}
		p := f.peers[i]
		p.nudge()
		if f.cfg.Observer != nil {
			f.tell(ctx, resilient.Event{
				Kind: resilient.KindOwed, Time: time.Now(), Store: p.name, Op: w.op, Count: count, Duration: w.kept,
			})
		}
	}
}
