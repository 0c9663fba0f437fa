package failover

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// read is one call that reads: it goes to one member after the other until one
// of them answers.
type read struct {
	f     *KV
	op    resilient.Op
	tried Members
	errs  []*resilient.Error // what the tried ones said
	// uncertain: a member that may lack the key said that it has not got it.
	uncertain bool
	// busy: a member was full, which is no outage. Only those who have all take
	// the calls that it can't.
	busy   bool
	served *peer // who answered; nil = the overlay
}

// next returns the most wanted member that may be asked and has not been, and
// how many are left with it; nil if there is none.
func (r *read) next() (p *peer, left int) {
	for _, c := range r.f.route.view.Load().order {
		if r.tried.has(c.i) || r.busy && !c.complete.Load() {
			continue
		}
		if p == nil {
			p = c
		}
		left++
	}
	return p, left
}

// ask calls p within its share of the caller's time. It reports whether the
// call is over, with the error to return. A call that returns ErrNotFound says
// that p has not got all that was asked for.
func (r *read) ask(ctx context.Context, p *peer, left int, call memberCall) (over bool, err error) {
	r.tried = r.tried.with(p.i)
	complete := p.complete.Load() // as it is when the member is asked, not when it has answered
	return r.heed(ctx, p, complete, r.call(ctx, p, left, complete, call))
}

// memberCall asks one member, which is complete or not as long as it takes.
type memberCall func(ctx context.Context, p *peer, complete bool) error

// heed takes p's answer. It reports whether the call is over, with the error
// to return.
func (r *read) heed(ctx context.Context, p *peer, complete bool, err error) (over bool, _ error) {
	switch classOf(err) {
	case resilient.OK:
		r.served = p
		return true, nil
	case resilient.Missing:
		if !complete {
			r.uncertain = true
			return false, nil
		}
		r.served = p
		return true, err
	case resilient.Invalid:
		r.served = p
		return true, err
	}
	r.errs = append(r.errs, memberError(r.op, p.name, err))
	if ctx.Err() != nil {
		return true, r.f.canceled(ctx, r.op, r.errs)
	}
	r.busy = r.busy || errors.Is(err, resilient.ErrBusy)
	r.f.doubt(p, err)
	return false, nil
}

// skip goes on without asking p, which may have another version than the
// newest.
func (r *read) skip(p *peer) {
	r.tried = r.tried.with(p.i)
	r.uncertain = true
}

// call makes the call, with a shorter ctx if p's own Timeout leaves more than
// its share.
func (r *read) call(ctx context.Context, p *peer, left int, complete bool, call memberCall) error {
	deadline, ok := ctx.Deadline()
	if !ok || left <= 1 {
		return call(ctx, p, complete)
	}
	part := share(time.Until(deadline), left)
	if timeout := p.m.Timeout(r.op); timeout > 0 && timeout <= part {
		return call(ctx, p, complete)
	}
	tctx := resilient.WithTimeout(ctx, part)
	defer tctx.End()
	return call(tctx, p, complete)
}

// failed returns the error of a call that nobody answered.
func (r *read) failed() error {
	if r.uncertain {
		return &Error{Op: r.op, Class: resilient.Failed, Members: r.f.byPriority(r.errs), reason: ErrUncertain}
	}
	e := &Error{Op: r.op, Class: classOfAll(r.errs), Members: r.f.byPriority(r.errs)}
	switch {
	case len(r.errs) == 0:
		e.reason = errNobody
	case r.busy && e.Class == resilient.Refused:
		e.reason = resilient.ErrBusy
	}
	return e
}

// byPriority sorts what members said, the most wanted one first.
func (f *KV) byPriority(errs []*resilient.Error) []*resilient.Error {
	place := func(e *resilient.Error) int {
		return slices.IndexFunc(f.peers, func(p *peer) bool { return p.name == e.Store })
	}
	slices.SortStableFunc(errs, func(a, b *resilient.Error) int { return place(a) - place(b) })
	return errs
}

// classOfAll is Refused if every member refused, else Failed.
func classOfAll(errs []*resilient.Error) resilient.Class {
	for _, e := range errs {
		if e.Class != resilient.Refused && e.Class != resilient.Conflict {
			return resilient.Failed
		}
	}
	return resilient.Refused
}

// GetRaw returns the value of key from the most wanted member that answers, or
// the newest version if some member has not got it yet. The caller owns the
// slice.
func (f *KV) GetRaw(ctx context.Context, key string) ([]byte, error) {
	c := f.begin(resilient.OpGet)
	if err := f.readyFor(ctx, resilient.OpGet, key); err != nil {
		f.done(ctx, c, outcome{err: err})
		return nil, err
	}
	p := f.sure(ctx)
	if p == nil {
		return f.getFromAny(ctx, c, nil, false, key, nil)
	}
	complete := p.complete.Load()
	value, err := p.m.GetRaw(ctx, key)
	if err != nil {
		return f.getFromAny(ctx, c, p, complete, key, err)
	}
	f.done(ctx, c, outcome{served: p})
	return value, nil
}

// sure returns the first member if its answer is as new as any, and no look-up
// is needed: while nothing is owed or being written.
func (f *KV) sure(ctx context.Context) *peer {
	if _, bounded := ctx.Deadline(); bounded || f.overlay.entries.Load() != 0 {
		return nil
	}
	return f.route.view.Load().first
}

// getFromAny gets key from whoever answers. The first member may have been
// asked already, and have said err.
func (f *KV) getFromAny(ctx context.Context, c call, first *peer, complete bool, key string, err error) (value []byte, _ error) {
	r := read{f: f, op: resilient.OpGet}
	over := false
	if first != nil {
		r.tried = r.tried.with(first.i)
		over, err = r.heed(ctx, first, complete, err)
	}
	if !over {
		value, err = f.get(ctx, &r, key)
	}
	err = f.missed(err)
	f.done(ctx, c, outcome{served: r.served, err: err})
	return value, err
}

// get looks key up before each attempt: what is in the overlay is the answer.
func (f *KV) get(ctx context.Context, r *read, key string) (value []byte, err error) {
	call := func(ctx context.Context, p *peer, _ bool) error {
		value, err = p.m.GetRaw(ctx, key)
		return err
	}
	for {
		p, left := r.next()
		var v version
		if (p == nil || p.i != 0 || f.overlay.entries.Load() != 0) && !(planted("norelookup") && r.tried != 0) {
			if v, err = f.overlay.lookup(ctx, key); err != nil {
				return nil, f.canceled(ctx, r.op, r.errs)
			}
			if v.found {
				return v.copied()
			}
		}
		switch {
		case p == nil:
			return nil, r.failed()
		case v.remove.has(p.i): // its copy is of an outage that is over
			r.skip(p)
			continue
		}
		if over, err := r.ask(ctx, p, left, call); over {
			return value, err
		}
	}
}

// copied returns v as a caller may have it.
func (v version) copied() ([]byte, error) {
	if v.delete {
		return nil, resilient.ErrNotFound
	}
	return append(make([]byte, 0, len(v.value)), v.value...), nil
}

// canceled returns the error of a call whose caller has left.
func (f *KV) canceled(ctx context.Context, op resilient.Op, members []*resilient.Error) error {
	return &Error{Op: op, Class: resilient.Canceled, Members: members, reason: ctx.Err()}
}

// doubt takes note of what a failed call says about p: a time-out makes it
// suspect until a health check clears it.
func (f *KV) doubt(p *peer, err error) {
	if !errors.Is(err, resilient.ErrTimeout) {
		return
	}
	if f.route.suspected(p.i) {
		p.nudge()
	}
}
