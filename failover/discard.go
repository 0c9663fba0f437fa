package failover

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/failover/internal/notes"
	"github.com/holdfastkv/holdfast/resilient"
)

// Discard forgets what a member is owed, on the operator's word: it is lost
// there. The member may then lack keys or have old values: its misses are no
// answers any more, not even with Config.Complete. Discard tells one Lost event
// and returns how many writes were given up; with an error, those before it. It
// is refused while the member is being rebuilt.
func (f *KV) Discard(member string) (lost int, err error) {
	p, err := f.named(member)
	if err != nil {
		return 0, err
	}
	if f.closing.Load() {
		return 0, resilient.ErrClosed
	}
	if !p.repairing.CompareAndSwap(false, true) {
		return 0, fmt.Errorf("failover: discard: %s is being rebuilt, or given up, already", member)
	}
	defer p.repairing.Store(false)
	due := f.backlog.due(p.i)
	if len(due) == 0 {
		return 0, nil
	}
	if !f.holdsAll(p) {
		if err := f.journal.Note(notes.Incomplete(p.name), notes.Set()); err != nil {
			return 0, fmt.Errorf("failover: discard: %w", err)
		}
		p.complete.Store(false)
	}
	defer p.nudge()
	for _, key := range due {
		var did bool
		if did, err = f.discardKey(p, key); err != nil {
			break
		}
		if did {
			lost++
		}
	}
	f.tell(f.ctx, resilient.Event{
		Kind: resilient.KindLost, Time: time.Now(), Store: p.name, Count: lost, Reason: "discarded by the operator",
	})
	return lost, err
}

// holdsAll reports whether p is what a Handoff has: whatever it lacks, nobody
// else has it.
func (f *KV) holdsAll(p *peer) bool { return p.i == 0 && f.cfg.Writes == Handoff }

// discardKey forgets what p is owed of one key. It reports whether that was a
// write.
func (f *KV) discardKey(p *peer, key string) (write bool, err error) {
	s := f.overlay.stripe(key)
	if err := s.lock(f.ctx); err != nil {
		return false, resilient.ErrClosed
	}
	defer s.unlock()
	s.mu.Lock()
	e := s.m[key]
	s.mu.Unlock()
	if e == nil || !(e.owed | e.remove).has(p.i) {
		return false, nil
	}
	write = e.owed.has(p.i)
	after := Record{Key: key, Owed: e.owed.without(p.i), Remove: e.remove.without(p.i), Seq: f.seq.Add(1), Since: e.since}
	if after.Owed != 0 {
		after.Value, after.Delete = e.value, e.delete
	}
	if err := f.journal.Put(after); err != nil {
		if !errors.Is(err, resilient.ErrRefused) {
			e.seq, e.kept = after.Seq, recorded{} // it may be durable: whoever forgets the key must remove it
		}
		return false, fmt.Errorf("failover: discard: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.strayLocked(p, time.Now())
	e.owed, e.remove = after.Owed, after.Remove
	e.seq, e.kept = after.Seq, recorded{after.Owed, after.Remove}
	f.relistLocked(s, e, e.listed, time.Now())
	return write, nil
}
