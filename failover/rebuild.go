package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover/internal/notes"
	"github.com/holdfastkv/holdfast/resilient"
)

// rebuildWorkers is how many keys at once are copied: few, as for hand-back.
const rebuildWorkers = 4

// Rebuild makes a member of a mirror a full copy of the first one, under load:
// it copies what the first has and removes what it has not. The member's misses
// are no answers until that is done. A member that is drained is rebuilt too: it
// gets what is copied and nothing else, and is whole when it is released.
// progress, if not nil, is told now and then how many keys are done, on the
// caller's goroutine; if it panics, Rebuild fails. What Rebuild has copied when
// it fails or ctx ends stays; called again, it goes through all keys again but
// sends only what differs. It holds the keys of both members in memory.
func (f *KV) Rebuild(ctx context.Context, member string, progress func(done int)) error {
	p, err := f.named(member)
	switch {
	case err != nil:
		return err
	case f.closing.Load():
		return resilient.ErrClosed
	case f.cfg.Writes != Mirror && f.cfg.Writes != MirrorStrict:
		return fmt.Errorf("failover: rebuild: in mode %s %s is no copy of the first member", f.cfg.Writes, member)
	case p.i == 0:
		return fmt.Errorf("failover: rebuild: %s is the first member, which the others are rebuilt from", member)
	}
	if !p.repairing.CompareAndSwap(false, true) {
		return fmt.Errorf("failover: rebuild: %s is being rebuilt, or given up, already", member)
	}
	defer p.repairing.Store(false)
	ctx, cancel := context.WithCancel(unsigned(ctx))
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)() // Close ends it
	r := &rebuild{f: f, p: p, first: f.peers[0], progress: progress, tick: make(chan struct{}, 1)}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("failover: rebuild %s: %w", member, err)
	}
	return nil
}

// rebuild is one run of Rebuild.
type rebuild struct {
	f        *KV
	p, first *peer
	progress func(done int)
	done     atomic.Int64
	told     int64         // of done, by progress
	tick     chan struct{} // there is progress to tell
}

func (r *rebuild) run(ctx context.Context) error {
	f, p := r.f, r.p
	if err := r.source(); err != nil { // before anything is changed
		return err
	}
	if err := f.journal.Note(notes.Incomplete(p.name), notes.Set()); err != nil {
		return err
	}
	p.complete.Store(false)
	if err := r.awaitQuiet(ctx); err != nil {
		return err
	}
	if err := r.awaitTrials(ctx); err != nil {
		return err
	}
	if err := r.oweAll(ctx); err != nil {
		return err
	}
	for _, source := range []*peer{r.first, p} { // what the first has, then what only p has
		keys, err := source.m.List(ctx, "")
		if err != nil {
			return err
		}
		if err := r.each(ctx, keys); err != nil {
			return err
		}
	}
	if err := f.journal.Note(notes.Rebuilt(p.name), notes.Set()); err != nil {
		return err
	}
	if err := f.journal.Note(notes.Incomplete(p.name), nil); err != nil {
		return err
	}
	p.complete.Store(true)
	return nil
}

// source returns why the first member cannot be copied from.
func (r *rebuild) source() error {
	switch {
	case r.first.drained.Load():
		return fmt.Errorf("the first member, which it is rebuilt from: %w", errDrained)
	case !r.first.complete.Load():
		return errors.New("what the first member was owed has been discarded: it is no source")
	}
	return nil
}

// awaitTrials waits while p's breaker lets only a few calls through. While it is
// being rebuilt a drained member gets its trial calls too.
func (r *rebuild) awaitTrials(ctx context.Context) error {
	for r.p.m.Store().State() == breaker.HalfOpen {
		r.p.nudge()
		select {
		case <-time.After(r.p.window / 8):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// awaitQuiet waits until calls of an earlier process, which did not say what it
// left behind, and of keys that were discarded are over: what they do later
// would be on one member only.
func (r *rebuild) awaitQuiet(ctx context.Context) error {
	for _, p := range []*peer{r.first, r.p} {
		for !planted("noquiesce-rebuild") && p.unsettled(p.quieting.before(time.Now())) {
			r.f.proveQuiet(ctx, p)
			select {
			case <-time.After(p.window / 8):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// oweAll makes p owed every version that the overlay has: Rebuild leaves these
// keys to hand-back, and the operator may have discarded what p was owed.
func (r *rebuild) oweAll(ctx context.Context) error {
	for i := range r.f.overlay.stripes {
		s := &r.f.overlay.stripes[i]
		if err := s.lock(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		var changed []*entry
		for _, e := range s.m {
			if !e.idle() && !e.owed.has(r.p.i) {
				e.owed = e.owed.with(r.p.i)
				e.listed = r.f.backlog.set(e.listed, e, time.Now())
				changed = append(changed, e)
			}
		}
		s.mu.Unlock()
		err := r.f.put(changed, false)
		s.unlock()
		if err != nil {
			return err
		}
	}
	r.p.nudge()
	return nil
}

// each makes p equal to the first member at the given keys.
func (r *rebuild) each(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(rebuildWorkers, len(keys)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(keys) {
					return
				}
				if err := r.key(ctx, keys[n]); err != nil {
					cancel(err)
				} else if r.done.Add(1)%100 == 0 {
					select {
					case r.tick <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	r.tell(ended, cancel)
	return context.Cause(ctx)
}

// tell tells of progress, on the goroutine that Rebuild was called on, until
// ended is closed. A panic of progress goes to fail.
func (r *rebuild) tell(ended <-chan struct{}, fail func(error)) {
	for over := false; !over; {
		select {
		case <-r.tick:
		case <-ended:
			over = true
		}
		if done := r.done.Load() / 100 * 100; done > r.told && r.progress != nil {
			r.told = done
			r.report(int(done), fail)
		}
	}
}

func (r *rebuild) report(done int, fail func(error)) {
	defer func() {
		if v := recover(); v != nil {
			fail(&resilient.PanicError{Value: v})
		}
	}()
	r.progress(done)
}

// key makes p equal to the first member at one key, under its lock. A key that
// has an entry is left to hand-back.
func (r *rebuild) key(ctx context.Context, key string) error {
	s := r.f.overlay.stripe(key)
	if !planted("copynolock") {
		if err := s.lock(ctx); err != nil {
			return err
		}
		defer s.unlock()
	}
	s.mu.Lock()
	e := s.m[key]
	s.mu.Unlock()
	if e == nil || e.idle() || planted("rebuildraw") {
		return r.copy(ctx, key)
	}
	return nil
}

// copy gives p what the first member has under key, if that differs.
func (r *rebuild) copy(ctx context.Context, key string) error {
	if err := r.source(); err != nil { // the first has been drained or given up since
		return err
	}
	want, err := get(ctx, r.first, key)
	if err != nil {
		return err
	}
	has, err := get(ctx, r.p, key)
	if err != nil {
		return err
	}
	if (want == nil) == (has == nil) && slices.Equal(want, has) {
		return nil
	}
	if want == nil && planted("keepunlisted") {
		return nil
	}
	if err = apart(func() error { return r.p.give(ctx, key, want, want == nil) }); err == nil || refused(err) {
		return err
	}
	// It may be applied at any time from now on: p is owed the version, and
	// hand-back waits for that to be over.
	return errors.Join(err, r.owe(&entry{key: key, value: want, delete: want == nil, decided: true}, err))
}

// owe publishes a version that the first member has and p may be about to get.
func (r *rebuild) owe(e *entry, cause error) error {
	f := r.f
	f.overlay.publish(e, member(r.p.i))
	e.prev = nil // it was idle
	f.answered([]*entry{e}, r.p, cause)
	err := f.put([]*entry{e}, false)
	s := f.overlay.stripe(e.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e.listed = f.backlog.set(nil, e, time.Now())
	r.p.nudge()
	return err
}

// get returns the value of key at p; nil if it has none. A Store gives no nil.
func get(ctx context.Context, p *peer, key string) ([]byte, error) {
	var value []byte
	err := apart(func() (err error) {
		value, err = p.m.GetRaw(ctx, key)
		return err
	})
	if classOf(err) == resilient.Missing {
		return nil, nil
	}
	return value, err
}

// apart makes call on a goroutine of its own, which the store may end: a key
// whose call did not return is not done.
func apart(call func() error) error {
	err, ended := errExited, make(chan struct{})
	go func() {
		defer close(ended)
		err = call()
	}()
	<-ended
	return err
}
