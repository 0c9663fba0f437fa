package breaker

import (
	"slices"
	"time"
)

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
// closes, and takes no lock for a Success that changes nothing.
func (p *Permit) Done(o Outcome, err error) {
	b := p.b
	if b == nil {
		return
	}
	if p.lease == 0 && (o != Failure && (o != Success || !b.heed.Load()) || b.word.Load() != p.word) {
		p.b = nil
		return
	}
	b.settle(*p, o, err)
	p.b = nil
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

// lease takes a place among the trial calls. ok is false if there is none, or
// none is needed.
func (m *machine) lease(now time.Time) (id uint64, ok bool) {
	if m.state() != HalfOpen || len(m.leases) >= m.cfg.Trials {
		return 0, false
	}
	m.lastLease++
	m.leases = append(m.leases, lease{m.lastLease, now.Add(m.cfg.Lease)})
	return m.lastLease, true
}

// settle books the end of a call of this generation and gives its place back.
func (m *machine) settle(id uint64, o Outcome, err error, now time.Time) {
	if id != 0 {
		i := slices.IndexFunc(m.leases, func(l lease) bool { return l.id == id })
		if i < 0 {
			return
		}
		m.leases = slices.Delete(m.leases, i, i+1)
	}
	switch o {
	case Success:
		m.call(true, nil, now)
	case Failure:
		m.call(false, err, now)
	}
}
