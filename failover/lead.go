package failover

import (
	"context"
	"errors"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// write makes the entries the newest versions of their keys and sends them to
// the members, unless the call is not valid, as err says.
func (f *KV) write(ctx context.Context, op resilient.Op, err error, entries []*entry, send func(context.Context, *peer) error) error {
	c, o := f.begin(op), outcome{err: err}
	switch {
	case err != nil || len(entries) == 0:
	case f.cfg.Writes == PrimaryOnly:
		o = f.writeToFirst(ctx, op, send)
	default:
		o = f.lead(ctx, &spread{f: f, op: op, entries: entries, send: send, inTurn: f.cfg.Writes == Handoff})
	}
	f.done(ctx, c, o)
	return o.err
}

// lead runs a write: under the keys' locks, with room in the journal for all
// that may come to be owed, published before anything is sent. Its caller leaves
// when ctx ends, whatever the members and the journal's disk do.
func (f *KV) lead(ctx context.Context, w *spread) outcome {
	w.stripes = f.overlay.stripesOf(w.entries)
	switch err := f.overlay.lock(ctx, w.stripes); {
	case errors.Is(err, resilient.ErrClosed):
		return outcome{err: &Error{Op: w.op, Class: resilient.Refused, reason: err}}
	case err != nil:
		return outcome{err: err}
	}
	if err := w.prepare(); err != nil {
		f.overlay.unlock(w.stripes)
		return outcome{err: &Error{Op: w.op, Class: resilient.Refused, reason: err}}
	}
	if ctx.Done() == nil || !f.journal.Durable() {
		return w.carry(ctx)
	}
	// The journal's disk may hang, and heeds no ctx: the caller must be able to
	// leave the write's goroutine.
	result := make(chan outcome, 1)
	w.left = make(chan struct{})
	f.work.Go(func() { result <- w.carry(ctx) })
	select {
	case o := <-result:
		return o
	case <-w.left:
		return outcome{err: f.canceled(ctx, w.op, nil)}
	}
}

// carry takes w from the first record to the end.
func (w *spread) carry(ctx context.Context) outcome {
	if err := w.recordFirst(ctx); err != nil {
		w.fault = err
		return w.finish(ctx)
	}
	var calls context.Context
	calls, w.end = detach(ctx)
	w.line()
	if w.run(ctx, calls) {
		return w.finish(ctx)
	}
	// The caller has left. The write is brought to its end without it: it may
	// be on some members already.
	w.f.work.Go(func() {
		defer time.AfterFunc(w.patience(), w.end).Stop()
		w.run(context.Background(), calls)
		w.finish(context.Background())
	})
	return outcome{err: w.f.canceled(ctx, w.op, nil)}
}

// leave lets the caller go, whose ctx has ended.
func (w *spread) leave() { w.leaving.Do(func() { close(w.left) }) }

// prepare does what must be done before anything is sent or recorded. If it
// fails, nothing of it is left but the locks.
func (w *spread) prepare() error {
	f := w.f
	if f.closing.Load() {
		return resilient.ErrClosed
	}
	if err := w.reserve(); err != nil {
		return err
	}
	for _, e := range w.entries {
		f.overlay.publish(e, f.owedAtFirst())
	}
	return nil
}

// owedAtFirst is who is owed a version that nobody has.
func (f *KV) owedAtFirst() Members {
	if f.cfg.Writes == Handoff {
		return member(0)
	}
	return allMembers(len(f.peers))
}

// reserve makes room in the journal for every entry.
func (w *spread) reserve() error {
	for _, e := range w.entries {
		size := e.size()
		if old, recorded := w.f.overlay.recorded(e.key); recorded {
			w.bytes += max(0, size-old)
			continue
		}
		w.keys++
		w.bytes += size
	}
	return w.f.journal.Reserve(w.keys, w.bytes)
}

// recordFirst makes durable what must be before anything is sent: the intent,
// of every key in MirrorStrict, else of those that have a record. A restart
// would hand an older version in the record back over the new one.
func (w *spread) recordFirst(ctx context.Context) error {
	var touched []*entry
	for _, e := range w.entries {
		if w.f.cfg.Writes == MirrorStrict && !planted("lateintent") || e.seq != 0 && !planted("stalehint") {
			touched = append(touched, e)
		}
	}
	return w.intend(ctx, touched)
}

// intend makes the intent to write entries durable, if the journal can.
func (w *spread) intend(ctx context.Context, entries []*entry) error {
	if !w.f.journal.Durable() {
		return nil
	}
	return w.keep(ctx, func() error { return w.f.put(entries, true) })
}

// keep does what waits for the journal. When ctx has ended, and answerSlack with
// it, the caller leaves: this goes on.
func (w *spread) keep(ctx context.Context, do func() error) error {
	if w.left != nil {
		defer context.AfterFunc(ctx, func() { time.AfterFunc(answerSlack, w.leave) })()
	}
	return do()
}

// put makes the records of those entries durable that the journal has not got
// as they stand now. After an error they may be durable or not, unless the
// journal says that it has refused them. The keys' locks are held.
func (f *KV) put(entries []*entry, intent bool) error {
	var changed []*entry
	var recs []Record
	var now time.Time
	for _, e := range entries {
		if e.idle() || e.kept == (recorded{e.owed, e.remove}) {
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		e.began(now)
		r := e.record(f.seq.Add(1))
		r.Intent = intent
		changed, recs = append(changed, e), append(recs, r)
	}
	if len(recs) == 0 {
		return nil
	}
	err := f.journal.Put(recs...)
	if errors.Is(err, resilient.ErrRefused) {
		return err
	}
	for i, e := range changed {
		e.seq, e.kept = recs[i].Seq, recorded{}
		if err == nil {
			e.kept = recorded{recs[i].Owed, recs[i].Remove}
		}
	}
	return err
}

// record returns the record of e as it stands now.
func (e *entry) record(seq uint64) Record {
	r := Record{Key: e.key, Owed: e.owed, Remove: e.remove, Seq: seq, Since: e.since}
	if e.owed != 0 {
		r.Value, r.Delete = e.value, e.delete
	}
	return r
}

// detach returns a ctx for the calls of a write that outlives its caller's.
func detach(ctx context.Context) (calls context.Context, end func()) {
	ctx = unsigned(ctx)
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
	var longest, sum time.Duration
	for _, p := range w.f.peers {
		d := max(minQuiet, p.m.Timeout(w.op)+answerSlack)
		longest, sum = max(longest, d), sum+d
	}
	if w.inTurn {
		return sum
	}
	return longest
}
