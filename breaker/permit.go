package breaker

import "time"

// Permit allows one call. It is a value; the zero Permit does nothing. Copies
// of it must not be settled too.
type Permit struct {
	b     *Breaker
	word  uint64 // when it was given
	lease uint64 // 0 = not a trial
}

// Done settles the Permit with what the call says, and err for the reason of
// an opening; it clears p, so that calling it again changes nothing. A Permit
// from before a transition, Force or Release changes nothing either, nor does a
// trial that ends after its lease. Done allocates only where it opens or
// closes; a Success that changes nothing costs one atomic load and no lock.
func (p *Permit) Done(o Outcome, err error) {
	if o == Success && p.lease == 0 && p.b != nil && !p.b.heed.Load() {
		p.b = nil
		return
	}
	p.done(o, err)
}

func (p *Permit) done(o Outcome, err error) {
	settled := *p
	*p = Permit{}
	if settled.b == nil {
		return
	}
	// After an opening there may be many stale calls: they need no lock.
	if settled.lease == 0 && (o > Failure || settled.b.word.Load() != settled.word) {
		return
	}
	settled.b.settle(settled, o, err)
}

// settle books the end of a call that may change something.
func (b *Breaker) settle(p Permit, o Outcome, err error) {
	now := b.lock()
	if !b.ended && b.m.gen == p.word>>wordBits {
		b.m.settle(p.lease, o, err, now)
	}
	b.unlock(now)
}

// allowSlowly is Allow in every state but Closed.
func (b *Breaker) allowSlowly(w uint64) (Permit, error) {
	if w&wordEnded != 0 {
		return Permit{}, nil
	}
	if State(w&wordState) == Open || w&wordFull != 0 {
		if refusal := b.refusal.Load(); refusal != nil {
			return Permit{}, refusal
		}
	}
	now := b.lock()
	p, refusal := b.admitLocked(now)
	b.unlock(now)
	if refusal != nil {
		return Permit{}, refusal
	}
	return p, nil
}

// admitLocked decides what the word could not, or no longer, tell.
func (b *Breaker) admitLocked(now time.Time) (Permit, *OpenError) {
	p := Permit{b: b, word: b.m.gen << wordBits} // as Allow gives it, in Closed
	switch {
	case b.ended:
		return Permit{}, nil
	case b.m.state() == Closed:
		return p, nil
	}
	var ok bool
	if p.lease, ok = b.m.lease(now); ok {
		return p, nil
	}
	return Permit{}, b.m.refused()
}
