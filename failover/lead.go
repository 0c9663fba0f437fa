package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// write makes the entries the newest versions of their keys and sends them to
// the members.
func (f *KV) write(ctx context.Context, op resilient.Op, entries []*entry, send func(context.Context, *peer) error) error {
	c := f.begin(op)
	o := f.lead(ctx, &spread{f: f, op: op, entries: entries, send: send})
	f.done(ctx, c, o)
	return o.err
}

// lead runs a write: under the keys' locks, with room in the journal for all
// that may come to be owed, published before anything is sent.
func (f *KV) lead(ctx context.Context, w *spread) outcome {
	w.stripes = f.overlay.stripesOf(w.entries)
	if err := f.overlay.lock(ctx, w.stripes); err != nil {
		return outcome{err: err}
	}
	if err := w.prepare(); err != nil {
		f.overlay.unlock(w.stripes)
		return outcome{err: &Error{Op: w.op, Class: resilient.Refused, reason: err}}
	}
	var calls context.Context
	calls, w.end = detach(ctx)
	w.sendAll(calls)
	if w.run(ctx, calls) {
		return w.finish(ctx)
	}
	// The caller has left. The write is brought to its end without it: it may
	// be on some members already.
	f.work.Go(func() {
		defer time.AfterFunc(w.patience(), w.end).Stop()
		w.run(context.Background(), calls)
		w.finish(context.Background())
	})
	return outcome{err: f.canceled(ctx, w.op, nil)}
}

// prepare does what must be done before anything is sent. If it fails, nothing
// of it is left but the locks.
func (w *spread) prepare() error {
	f := w.f
	if f.closing.Load() {
		return resilient.ErrClosed
	}
	if err := w.reserve(); err != nil {
		return err
	}
	all := allMembers(len(f.peers))
	for _, e := range w.entries {
		f.overlay.publish(e, all)
	}
	if err := w.recordIntent(); err != nil {
		w.takeBack()
		return err
	}
	return nil
}

// reserve makes room in the journal for every entry.
func (w *spread) reserve() error {
	for _, e := range w.entries {
		size := e.record(0, false).size()
		if old, recorded := w.f.overlay.recorded(e.key); recorded {
			w.bytes += max(0, size-old)
			continue
		}
		w.keys++
		w.bytes += size
	}
	return w.f.journal.Reserve(w.keys, w.bytes)
}

// recordIntent puts the new version into the record of every key that has one,
// before it is sent: else a restart would hand the recorded, older version
// back over it. A journal that ends with the process needs no such care.
func (w *spread) recordIntent() error {
	if !w.f.journal.Durable() {
		return nil
	}
	var recs []Record
	for _, e := range w.entries {
		if e.recorded {
			recs = append(recs, e.record(allMembers(len(w.f.peers)), true))
		}
	}
	if len(recs) == 0 {
		return nil
	}
	return w.f.journal.Put(recs...)
}

func (e *entry) record(owed Members, intent bool) Record {
	return Record{Key: e.key, Value: e.value, Delete: e.delete, Owed: owed, Intent: intent}
}

// detach returns a ctx for the calls of a write that outlives its caller's.
func detach(ctx context.Context) (calls context.Context, end func()) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	calls, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	return calls, func() { cancel(resilient.ErrTimeout) }
}

// patience is how long the calls of a write whose caller has left may still
// take: what their members' Timeouts allow anyway, and minQuiet where a member
// has none.
func (w *spread) patience() time.Duration {
	d := minQuiet
	for _, p := range w.f.peers {
		d = max(d, p.m.Timeout(w.op)+answerSlack)
	}
	return d
}

// takeBack undoes what prepare did, but for the locks: nothing was sent, or
// every member has refused it.
func (w *spread) takeBack() {
	for _, e := range w.entries {
		w.f.overlay.takeBack(e)
	}
	w.f.journal.Release(w.keys, w.bytes)
}

// finish settles w, whose outcome is known as far as it will be waited for,
// and returns what its caller is told.
func (w *spread) finish(ctx context.Context) outcome {
	f := w.f
	if w.acked|w.unsure|w.pending == 0 && w.revert() == nil {
		f.overlay.unlock(w.stripes)
		return outcome{err: w.refusal()}
	}
	owed, err := w.settle()
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
		o.err = &Error{Op: w.op, Class: resilient.Failed, Members: w.errs, reason: err}
	case w.acked == 0 && !f.journal.Durable():
		o.err = &Error{Op: w.op, Class: resilient.Failed, Members: w.errs}
	}
	f.tellOwed(ctx, w, owed)
	return o
}

// revert takes back a write that every member refused. Where the record had
// the intent, the record is put right first; if that fails, a restart would
// roll the write forward, and it is not taken back.
func (w *spread) revert() error {
	var recs []Record
	if w.f.journal.Durable() {
		for _, e := range w.entries {
			if e.recorded && e.prev != nil {
				recs = append(recs, e.prev.record(e.prev.owed, false))
			}
		}
	}
	if len(recs) > 0 {
		if err := w.f.journal.Put(recs...); err != nil {
			return err
		}
	}
	w.takeBack()
	return nil
}

// refusal is the error of a write that every member refused. What the most
// wanted one found wrong with the call itself is the reason.
func (w *spread) refusal() error {
	e := &Error{Op: w.op, Class: resilient.Refused, Members: w.errs}
	if len(w.errs) == 0 {
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

// tellOwed tells who is owed a write that has been acknowledged or may have
// been applied, and wakes the hand-back.
func (f *KV) tellOwed(ctx context.Context, w *spread, owed Members) {
	for _, p := range f.peers {
		if !owed.has(p.i) {
			continue
		}
		p.nudge()
		if f.cfg.Observer != nil {
			f.tell(ctx, resilient.Event{Kind: resilient.KindOwed, Time: time.Now(), Store: p.name, Op: w.op, Count: len(w.entries)})
		}
	}
}
