package failover

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// handBackWorkers is how many keys at once are handed back to a member: few,
// so that what it missed does not crowd out the calls of the day.
const handBackWorkers = 4

// lockHold is how long a hand-back keeps its key's lock while the member has not
// answered: long enough for one that is well, short enough for a writer who
// waits for the key. After that the call goes on without the lock, as one that
// a write has left behind.
const lockHold = 20 * time.Millisecond

// Errors of a pass: the member was taken out by the operator; the member does
// not take a value that the others took.
var (
	errDrained  = errors.New("drained by the operator")
	errUnwanted = errors.New("the member does not take some of it (Discard gives it up)")
)

// pass is what became of one pass of hand-back.
type pass struct {
	handed  int
	cleaned int   // copies that are gone
	waits   bool  // some keys cannot be handed back yet
	err     error // the member refused, failed or hung: the pass was stopped
}

// stopped reports whether the member has just been asked in vain.
func (p pass) stopped() bool { return p.err != nil && !errors.Is(p.err, errUnwanted) }

// handBack hands the keys that are due at p back to it, in their order.
func (f *KV) handBack(ctx context.Context, p *peer, keys []string, workers int) pass {
	var (
		next, handed, removed atomic.Int64
		waits, never          atomic.Bool
		failed                atomic.Pointer[error]
		wg                    sync.WaitGroup
	)
	for range min(workers, len(keys)) {
		wg.Go(func() {
			for failed.Load() == nil && ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(keys) {
					return
				}
				switch did, err := f.handBackKey(ctx, p, keys[n]); {
				case err != nil:
					failed.CompareAndSwap(nil, &err)
				case did == skipped:
					waits.Store(true)
				case did == unwanted:
					never.Store(true)
				case did == handedBack:
					handed.Add(1)
				case did == cleaned:
					removed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	r := pass{handed: int(handed.Load()), cleaned: int(removed.Load()), waits: waits.Load()}
	if err := failed.Load(); err != nil {
		r.err = *err
	} else if never.Load() {
		r.err = errUnwanted
	}
	tell := f.stall(ctx, p, r)
	if (r.handed > 0 || tell) && f.cfg.Observer != nil {
		_, _, oldest := f.backlog.total()
		e := resilient.Event{Kind: resilient.KindHandedBack, Time: time.Now(), Store: p.name, Count: r.handed, Class: r.class(), Err: r.err}
		if !oldest.IsZero() {
			e.Age = e.Time.Sub(oldest)
		}
		f.tell(ctx, e)
	}
	return r
}

// class is that of r's error.
func (p pass) class() resilient.Class {
	if errors.Is(p.err, errUnwanted) {
		return resilient.Invalid
	}
	return classOf(p.err)
}

// step is what was done for one key.
type step uint8

const (
	gone       step = iota // nothing is owed any more
	skipped                // an earlier call may still apply
	unwanted               // the member does not take the value
	handedBack             // the member has the version
	cleaned                // the member's copy is gone
)

// task is one key's hand-back: of its version, or the removal of a copy.
type task struct {
	f      *KV
	p      *peer
	e      *entry
	remove bool
	result chan error // of the call
}

// handBackKey hands one key back, or removes the copy of one that nobody is
// owed, under its lock, so that no newer version is written meanwhile. An error
// stops the pass.
func (f *KV) handBackKey(ctx context.Context, p *peer, key string) (step, error) {
	if p.drained.Load() {
		return gone, errDrained
	}
	s := f.overlay.stripe(key)
	if err := s.lock(ctx); err != nil {
		return gone, err
	}
	if f.ctx.Err() != nil {
		s.unlock()
		return gone, resilient.ErrClosed
	}
	// Flush runs on its caller's goroutine. What it leaves behind is begun while
	// this one counts among the group's: Close may be waiting for them already.
	f.work.Add(1)
	defer f.work.Done()
	t, did := f.taskOf(s, p, key)
	if t == nil {
		s.unlock()
		return did, nil
	}
	if planted("cleannolock") && t.remove {
		s.unlock()
		t.send(ctx)
		err := <-t.result
		_ = s.lock(f.ctx)
		defer s.unlock()
		if t.e = s.m[key]; t.e == nil {
			return gone, err
		}
		return t.answered(err)
	}
	t.send(ctx)
	timer := time.NewTimer(lockHold)
	defer timer.Stop()
	select {
	case err := <-t.result:
		defer s.unlock()
		return t.answered(err)
	case <-timer.C:
	case <-ctx.Done():
	}
	t.leave()
	s.unlock()
	return t.wait(ctx)
}

// taskOf returns what is to be done for key at p; nil if nothing, or not now.
// The caller holds the key's lock.
func (f *KV) taskOf(s *stripe, p *peer, key string) (*task, step) {
	quiet := p.quieting.before(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	if e == nil || !(e.owed | e.remove).has(p.i) || e.owed != 0 && !e.owed.has(p.i) {
		return nil, gone
	}
	t := &task{f: f, p: p, e: e, remove: e.owed == 0, result: make(chan error, 1)}
	if e.refuses.has(p.i) {
		return nil, unwanted
	}
	heed := !planted("noquiesce-handback")
	if t.remove {
		heed = !planted("noquiesce-clean")
	}
	if heed && e.blocked(p, quiet) {
		return nil, skipped
	}
	return t, gone
}

// send makes the call, on a goroutine of its own: a store may ignore its ctx, or
// end the goroutine.
func (t *task) send(ctx context.Context) {
	t.f.work.Go(func() {
		err := errExited
		defer func() { t.result <- err }()
		err = t.p.give(ctx, t.e.key, t.e.value, t.remove || t.e.delete)
	})
}

// answered takes note of the answer. The key's lock is held.
func (t *task) answered(err error) (step, error) {
	switch class := classOf(err); {
	case err == nil:
		return t.done(), nil
	case class == resilient.Invalid:
		t.giveUp()
		return unwanted, nil
	case refused(err):
		return gone, err
	}
	t.f.answered([]*entry{t.e}, t.p, err)
	t.f.doubt(t.p, err)
	return gone, err
}

// giveUp notes that the member does not take the version. It stays owed, and is
// served by the overlay, until a newer one or Discard takes its place.
func (t *task) giveUp() {
	s := t.f.overlay.stripe(t.e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.e.refuses = t.e.refuses.with(t.p.i)
}

// done takes note that the member did what was to be done.
func (t *task) done() step {
	if t.remove {
		t.f.removed(t.e, t.p)
		return cleaned
	}
	t.f.got(t.e, t.p)
	return handedBack
}

// leave notes that the call goes on without its key's lock.
func (t *task) leave() {
	s := t.f.overlay.stripe(t.e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.e.taintLocked(t.p.i, len(t.f.peers)).running++
}

// wait waits for a call that goes on without its key's lock. One that outlasts
// ctx, or what its member's Timeout allows, goes on alone: the member hangs.
func (t *task) wait(ctx context.Context) (step, error) {
	var overtime <-chan time.Time
	if limit := t.p.m.Timeout(resilient.OpSet); limit > 0 {
		timer := time.NewTimer(limit + answerSlack)
		defer timer.Stop()
		overtime = timer.C
	}
	select {
	case err := <-t.result:
		return t.late(err)
	case <-overtime:
		t.f.doubt(t.p, resilient.ErrTimeout)
		t.watch()
		return gone, resilient.ErrTimeout
	case <-ctx.Done():
		t.watch()
		return gone, ctx.Err()
	}
}

// watch waits for the answer without anybody waiting for that.
func (t *task) watch() {
	t.f.work.Go(func() { _, _ = t.late(<-t.result) })
}

// late takes note of an answer that came when the key's lock was free again.
func (t *task) late(err error) (step, error) {
	f := t.f
	f.doubt(t.p, err)
	if left := resilient.Left(err); left != nil {
		f.watch([]*entry{t.e}, t.p, left) // goes on being counted as running
		return gone, err
	}
	f.returned([]*entry{t.e}, t.p, err != nil && !refused(err))
	t.p.nudge()
	if classOf(err) == resilient.Invalid {
		t.giveUp()
		return unwanted, nil
	}
	if err != nil {
		return gone, err
	}
	s := f.overlay.stripe(t.e.key)
	if err := s.lock(f.ctx); err != nil {
		return gone, err
	}
	defer s.unlock()
	if f.isBlocked(t.e, t.p) {
		return skipped, nil
	}
	return t.done(), nil
}
