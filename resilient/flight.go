package resilient

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// flight is the health check of a Store that is under way, if there is one.
// The prober and all callers of Health share it. It runs on a context of its
// own, which only Close ends.
type flight struct {
	ctx    context.Context //nolint:containedctx // of no caller: Close ends it
	cancel context.CancelFunc
	last   atomic.Pointer[Check] // the latest that was not cut short
	sure   atomic.Bool           // it was a verdict, not ErrHealthUnknown

	mu struct { // guards what is below
		sync.Mutex
		now    *round   // the check that will have the next verdict
		latest *round   // the one that was begun last; it may be over
		hung   *checkup // a call of Health that was given up; it may still hang
		closed bool
	}
}

// round is one health check, shared by those who wait for it.
type round struct {
	done    chan struct{} // closed when its verdict has been told
	check   Check         // read after done, as what follows
	verdict verdict
	doubted bool // it began in doubt
}

func (f *flight) init() { f.ctx, f.cancel = context.WithCancel(context.Background()) }

// ask returns the round under way, or begins one. It returns nil after Close.
func (s *Store) ask() *round {
	f := &s.flight
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.mu.closed:
		return nil
	case f.mu.now == nil:
		r := &round{done: make(chan struct{})}
		f.mu.now, f.mu.latest = r, r
		go s.fly(r)
	}
	return f.mu.now
}

// fly makes one health check and tells its verdict: to the breaker, the group,
// and the observer, in that order, and then to those who wait. While an earlier
// check still hangs no other is started: that it hangs is the verdict. The
// breaker has it before the next check can begin, who is told of it after that:
// foreign code may ask for a check.
func (s *Store) fly(r *round) {
	defer close(r.done)
	f := &s.flight
	f.mu.Lock()
	hung := f.mu.hung
	f.mu.Unlock()
	began := time.Now()
	r.doubted = s.breaker.InDoubt()
	evidence := s.breaker.StartCheck()
	if hung.hangs() {
		r.check = hung.result(s.cfg.Probe.SlowAfter)
		r.check.Err = &lateError{after: r.check.Latency}
		r.verdict = verdict{err: r.check.Err, class: Failed}
	} else {
		r.check, r.verdict, hung = check(f.ctx, s.cfg.Probe.Timeout, s.cfg.Probe.SlowAfter, s.kv.Health, s.classify)
	}
	cut := s.closed.Load()
	if cut {
		r.check.Err = ErrClosed
	} else {
		f.last.Store(&r.check)
		f.sure.Store(!r.verdict.unknown)
	}
	var tell func()
	f.mu.Lock()
	f.mu.now, f.mu.hung = nil, hung
	if !cut && !r.verdict.unknown {
		tell = evidence.Book(r.check.Err)
	}
	f.mu.Unlock()
	switch {
	case cut:
		return
	case tell != nil:
		tell()
		s.checked(began, r.check)
	default:
		s.breaker.ExpectChecks(false)
	}
	s.tell(f.ctx, &Event{
		Kind: KindProbe, Time: r.check.Time, Op: OpHealth, Class: r.verdict.class,
		Duration: r.check.Latency, Slow: r.check.Slow, Err: r.check.Err,
	})
}

// shut ends the flight: nothing is asked any more, and what is under way is
// told to stop.
func (f *flight) shut() {
	f.mu.Lock()
	f.mu.closed = true
	f.mu.Unlock()
	f.cancel()
}

// wait waits for the check that was under way at shut, and for a call of Health
// for at most grace: one that ignores its context is left behind.
func (f *flight) wait(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	f.mu.Lock()
	latest := f.mu.latest
	f.mu.Unlock()
	if latest == nil {
		return
	}
	select {
	case <-latest.done:
	case <-timer.C: // Close was called by who is told of it
		return
	}
	f.mu.Lock()
	hung := f.mu.hung
	f.mu.Unlock()
	if !hung.hangs() {
		return
	}
	select {
	case <-hung.ended:
	case <-timer.C:
	}
}

// Health asks the wrapped store, whatever the state of the breaker, and
// returns nil if it can serve. Callers at the same time, and the prober, share
// one check, which ends after Probe.Timeout even if the store ignores its
// context and whose verdict goes to the breaker; a caller whose ctx ends leaves
// at once. An error that is not ErrHealthUnknown, ErrClosed or ctx's is an
// *Error.
func (s *Store) Health(ctx context.Context) error {
	if s.closed.Load() {
		return &s.refusals[OpHealth].closed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.ask()
	if r == nil {
		return &s.refusals[OpHealth].closed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch err := r.check.Err; {
	case err == nil, r.verdict.unknown:
		return err
	case s.closed.Load() && errors.Is(err, ErrClosed):
		return &s.refusals[OpHealth].closed
	default:
		return &Error{Op: OpHealth, Store: s.cfg.Name, Class: r.verdict.class, Attempts: 1, Err: err}
	}
}
