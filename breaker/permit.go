package breaker

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
	if o == Success && p.lease == 0 && (p.b == nil || !p.b.heed.Load()) {
		p.b = nil
		return
	}
	p.done(o, err)
}

func (p *Permit) done(o Outcome, err error) {
	settled := *p
	*p = Permit{}
	if settled.b == nil || settled.lease == 0 && (o > Failure || settled.b.word.Load() != settled.word) {
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

// allowTrial is Allow in every state but Closed.
func (b *Breaker) allowTrial(w uint64) (Permit, error) {
	for {
		switch {
		case w&wordEnded != 0:
			return Permit{}, nil
		case State(w&wordState) == Closed:
			return Permit{b: b, word: w}, nil
		case State(w&wordState) == Open || w&wordFull != 0:
			if e := b.refusal.Load(); e != nil {
				return Permit{}, e
			}
		default:
			now := b.lock()
			id, ok := b.m.lease(now)
			gen := b.m.gen
			b.unlock(now)
			if ok {
				return Permit{b: b, word: gen << wordBits, lease: id}, nil
			}
		}
		w = b.word.Load()
	}
}
