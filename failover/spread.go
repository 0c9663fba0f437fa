package failover

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// spread is one write under way, of one key or of a batch: sent to the members
// in waves, until one has it. One goroutine at a time works on it.
type spread struct {
	f       *KV
	op      resilient.Op
	entries []*entry
	stripes []int // whose key locks it holds until finished
	send    func(ctx context.Context, p *peer) error
	end     func() // ends the calls

	left    chan struct{} // closed when the caller is to leave; nil = it stays
	leaving sync.Once

	inTurn bool // Handoff: a wave is one member; reads wait for the end

	order   []*peer     // the members it was sent to, most wanted first
	waves   [][]*peer   // those it is sent to if these have not got it
	results chan result // one for each of order
	pending Members     // sent to, and not answered
	passed  Members     // pending ones that are no longer waited for
	acked   Members     // answered OK
	unsure  Members     // may have applied it
	errs    []*resilient.Error
	fault   error // why no more waves are sent: the journal has failed, or a member is busy

	waitFor *peer     // the leader that until belongs to
	until   time.Time // when the wait for the next answer is over; zero = never
	begun   time.Time

	keys  int   // reserved in the journal
	bytes int64 // reserved in the journal

	kept time.Duration // how long the journal took to keep what is owed
}

// result is how a member answered.
type result struct {
	p   *peer
	err error
}

// errExited is the result of a call whose goroutine was ended by the store
// (runtime.Goexit).
var errExited = errors.New("failover: the store ended the call's goroutine")

// answerSlack is what a member's Store may take beyond its Timeout to say that
// the call timed out; one that has not answered by then ignores its ctx.
const answerSlack = 20 * time.Millisecond

// run brings w to the point at which its caller can be answered. It reports
// false if ctx ended first; it may then be called again.
func (w *spread) run(ctx, calls context.Context) bool {
	for w.collect(ctx) {
		if w.enough() {
			return true
		}
		wave := w.waves[0]
		w.waves = w.waves[1:]
		if w.fault = w.owe(ctx, wave); w.fault != nil {
			return true
		}
		w.sendTo(calls, wave)
	}
	return false
}

// enough reports whether the write goes to no more members.
func (w *spread) enough() bool {
	if w.acked != 0 || len(w.waves) == 0 {
		return true
	}
	return !w.inTurn && w.unsure|w.pending != 0
}

// line decides in which waves the members get the write: side by side those
// that are not in doubt and then the others, or one after the other. The
// members are those of the view now that the keys' locks are held.
func (w *spread) line() {
	v := w.f.route.view.Load()
	w.results = make(chan result, len(v.order))
	w.order = make([]*peer, 0, len(v.order))
	sure, doubtful := make([]*peer, 0, len(v.order)), []*peer(nil)
	for _, p := range v.order {
		if v.doubtful.has(p.i) || p.behind.Load() >= maxBehind {
			doubtful = append(doubtful, p)
		} else {
			sure = append(sure, p)
		}
	}
	if !w.inTurn {
		w.waves = [][]*peer{sure, doubtful}
		return
	}
	for _, p := range append(sure, doubtful...) {
		w.waves = append(w.waves, []*peer{p})
	}
}

// owe makes durable, before it is sent to members other than the first, what a
// Handoff write owes from then on: the version to the first, its removal to
// them.
func (w *spread) owe(ctx context.Context, wave []*peer) error {
	if !w.inTurn || len(wave) == 0 || wave[0].i == 0 {
		return nil
	}
	w.mark(wave[0], true)
	if planted("lateintent") {
		return nil
	}
	err := w.intend(ctx, w.entries)
	if err != nil {
		w.mark(wave[0], false)
	}
	return err
}

// mark notes that p may hold copies of the entries, or that it has not got
// this version after all.
func (w *spread) mark(p *peer, holds bool) {
	for _, e := range w.entries {
		s := w.f.overlay.stripe(e.key)
		s.mu.Lock()
		switch {
		case planted("noclean"), planted("cleanack") && !w.acked.has(p.i):
		case holds:
			e.remove = e.remove.with(p.i)
		case e.prev == nil || !e.prev.remove.has(p.i):
			e.remove = e.remove.without(p.i)
		}
		s.mu.Unlock()
	}
}

func (w *spread) sendTo(calls context.Context, wave []*peer) {
	w.begun, w.waitFor = time.Now(), nil
	for _, p := range wave {
		w.taint(p)
		w.order = append(w.order, p)
		w.pending = w.pending.with(p.i)
		w.f.work.Go(func() {
			r := result{p, errExited}
			defer func() { w.results <- r }()
			r.err = w.send(calls, p)
		})
	}
}

// taint notes for which entries an earlier call to p can still take effect, on
// top of the one that is about to be sent. It may do so before that has been
// answered: what is known then is too late.
func (w *spread) taint(p *peer) {
	quiet := p.quieting.before(time.Now())
	for _, e := range w.entries {
		s := w.f.overlay.stripe(e.key)
		s.mu.Lock()
		if e.blocked(p, quiet) && !planted("noquiesce-write") {
			e.tainted = e.tainted.with(p.i)
		}
		s.mu.Unlock()
	}
}

// collect waits for the members' answers: for that of the most wanted one
// until its share of the caller's time is over, then of the next, and once one
// has the write Straggle longer for the others. It reports false if ctx ended
// while nobody was known to have it.
func (w *spread) collect(ctx context.Context) bool {
	var timer *time.Timer
	for w.pending&^w.passed != 0 {
		if w.inTurn && w.acked != 0 {
			w.passed = w.pending
			break
		}
		w.plan(ctx)
		var over <-chan time.Time
		switch left := time.Until(w.until); {
		case w.until.IsZero():
		case left > 0:
			if timer == nil {
				timer = time.NewTimer(left)
				defer timer.Stop()
			} else {
				timer.Reset(left)
			}
			over = timer.C
		case len(w.results) == 0 && ctx.Err() == nil: // an answer that is there counts, however late
			w.pass()
			continue
		}
		select {
		case r := <-w.results:
			w.take(r)
		case <-over:
			w.pass()
		case <-ctx.Done():
			if w.acked == 0 {
				return false
			}
			w.passed = w.pending
		}
	}
	return true
}

// leader returns the most wanted member that has the write or is waited for,
// and how many candidates are left with it.
func (w *spread) leader() (p *peer, left int) {
	for n, p := range w.order {
		if w.acked.has(p.i) || w.pending.has(p.i) && !w.passed.has(p.i) {
			left = len(w.order) - n
			if w.inTurn {
				left += len(w.waves)
			}
			return p, left
		}
	}
	return nil, 0
}

// plan sets how long to wait for the leader, once per leader: before it has
// answered its share of the time, afterwards Straggle for the others.
func (w *spread) plan(ctx context.Context) {
	p, left := w.leader()
	if w.acked.has(p.i) {
		if w.waitFor != nil || w.until.IsZero() {
			w.waitFor, w.until = nil, time.Now().Add(max(0, w.f.cfg.Straggle))
		}
		return
	}
	if w.waitFor == p {
		return
	}
	w.waitFor, w.until = p, time.Time{}
	if timeout := p.m.Timeout(w.op); timeout > 0 {
		w.until = w.begun.Add(timeout + answerSlack)
	}
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		end := time.Now().Add(share(time.Until(deadline), left))
		if w.until.IsZero() || end.Before(w.until) {
			w.until = end
		}
	}
}

// pass goes on without those that did not answer in time: without all of them
// once one member has the write, else without the leader.
func (w *spread) pass() {
	p, _ := w.leader()
	if w.acked.has(p.i) {
		w.passed = w.pending
		return
	}
	w.passed = w.passed.with(p.i)
	w.f.doubt(p, resilient.ErrTimeout)
}

// take notes what a member answered. The first that may have applied a
// mirrored write decides it: it can no longer be taken back, and reads get its
// value. A write in turn is decided at its end, with its record.
func (w *spread) take(r result) {
	p := r.p
	w.pending = w.pending.without(p.i)
	w.passed = w.passed.without(p.i)
	err := w.verdict(r)
	if err != nil {
		w.errs = append(w.errs, memberError(w.op, p.name, err))
	}
	switch {
	case err == nil:
		w.acked = w.acked.with(p.i)
		if planted("cleanack") && w.inTurn && p.i != 0 {
			w.mark(p, true)
		}
	case refused(err), planted("ambrefuse"):
		if w.inTurn && p.i != 0 {
			w.mark(p, false)
		}
		if w.inTurn && w.unsure|w.pending == 0 {
			w.stopAt(p, err)
		}
		return
	default:
		w.unsure = w.unsure.with(p.i)
	}
	w.f.answered(w.entries, p, err)
	if !w.inTurn {
		w.f.decide(w.entries)
	}
}

// stopAt ends the sending of a write in turn where the next member is no help for
// what p refused it for: a load spike is no failover, and what the first member
// will never take another could only keep for ever.
func (w *spread) stopAt(p *peer, err error) {
	switch {
	case errors.Is(err, resilient.ErrBusy):
		w.waves, w.fault = nil, resilient.ErrBusy
	case p.i == 0 && classOf(err) == resilient.Invalid:
		w.waves = nil
	}
}

// verdict returns r's error, nil if the member has the write.
func (w *spread) verdict(r result) error {
	if r.err == nil || !w.sets() && classOf(r.err) == resilient.Missing {
		return nil
	}
	w.f.doubt(r.p, r.err)
	return r.err
}

func (w *spread) sets() bool { return w.op == resilient.OpSet || w.op == resilient.OpBatchSet }

// refused reports whether err says that a write was certainly not applied.
func refused(err error) bool {
	switch classOf(err) {
	case resilient.Refused, resilient.Conflict, resilient.Invalid:
		return true
	}
	return false
}
