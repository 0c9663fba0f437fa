package failover_test

// What the group does by itself: journal, hand-back, removal, restart.

// durable reports whether there is a record of the key on disk.
func (m *model) durable() bool { return !m.memory }

// put makes the record of v durable now.
func (m *model) put(t *modelState, v modelVersion, intent bool) {
	if m.durable() {
		t.disk, t.lazy = modelRecord{v, intent}, false
	}
}

// settle ends what was done to the entry: dropped if nothing is owed, and its
// record brought up to date some time.
func (m *model) settle(t *modelState) {
	t.entry.modelVersion = t.entry.settled()
	t.lazy = m.durable() && t.disk != t.entry.recorded()
	if t.entry.owed == 0 {
		m.loosen(t, 0)
	}
}

// journal writes what was left for later.
func (m *model) journal(s *modelState) {
	if !s.lazy || s.entry.writing {
		return
	}
	t := *s
	t.disk, t.lazy = s.entry.recorded(), false
	m.add(t, -1, "the record is brought up to date", -1, -1)
}

// handBack hands the version to a member that is owed it, or removes the copy
// at the second: under the key's lock, and not while an earlier call to that
// member can still apply.
func (m *model) handBack(s *modelState) {
	e := &s.entry
	if e.writing && m.without != handnolock && m.without != cleannolock {
		return
	}
	for b := range uint8(2) {
		v, clean := e.value, false
		switch {
		case s.entry.owed&(1<<b) != 0:
		case b == secondMember && e.clean && e.owed == 0 && !e.writing:
			v, clean = noValue, true
		default:
			continue
		}
		dirty := s.tainted()&(1<<b) != 0
		if clean && m.without == noquiesceClean || !clean && m.without == noquiesceHandback {
			dirty = false
		}
		if s.member[b].down || dirty {
			continue
		}
		if clean && m.without == cleannolock || !clean && m.without == handnolock {
			if s.carrier.at == clientIdle && !e.writing {
				t := *s
				t.carrier = modelCarrier{callSent, b, v, clean}
				m.add(t, -1, "hand-back begins without the lock, of", int(b), int(v))
			}
			continue
		}
		if e.writing {
			continue
		}
		text := "hand-back of"
		if clean {
			text = "removal leaves"
		}
		t := *s
		t.member[b].value = v
		m.cleared(&t, b, clean)
		m.add(t, -1, text, int(b), int(v))
		if s.losses > 0 {
			t := *s
			t.losses--
			but := func(t modelState, how string) {
				m.add(t, -1, text, int(b), int(v))
				m.out[len(m.out)-1].what.but = how
			}
			m.abandon(&t, b, v, but)
			t.member[b].value, t.member[b].taint = v, true
			but(t, "loses the answer")
		}
	}
}

// cleared notes that member b has the version, or nothing to be removed.
func (m *model) cleared(t *modelState, b uint8, clean bool) {
	if clean {
		t.entry.clean = false
	} else {
		t.entry.owed &^= 1 << b
		if m.without == nocleanrec && t.entry.owed == 0 && t.entry.clean {
			// The bit stays in memory, and the record goes.
			m.put(t, modelVersion{}, false)
			t.entry.modelVersion = t.entry.settled()
			return
		}
	}
	if !t.entry.writing {
		m.settle(t)
	}
}

// carry goes on with a hand-back that holds no lock.
func (m *model) carry(s *modelState) {
	t := *s
	c := &t.carrier
	switch c.at {
	case callSent:
		if t.member[c.member].down {
			t.carrier = modelCarrier{}
			m.add(t, -1, "that hand-back is refused", int(s.carrier.member), -1)
			return
		}
		t.member[c.member].value = c.value
		c.at = callApplied
		m.add(t, -1, "that hand-back is applied", int(c.member), int(c.value))
	case callApplied:
		t.carrier = modelCarrier{}
		if e := &t.entry; e.known && (s.carrier.clean || e.value == s.carrier.value) {
			m.cleared(&t, s.carrier.member, s.carrier.clean)
		}
		m.add(t, -1, "that hand-back is answered OK", int(s.carrier.member), int(s.carrier.value))
	}
}

// loosen notes what a crash from now on would let the key have, where the
// guarantee leaves that open: with a memory journal what it had when last
// nothing was owed and whatever was written since, and in Mirror the value
// before a write that the crash cuts off and that write's. v is a write that
// begins, as a set; 0 if one has ended.
func (m *model) loosen(t *modelState, v uint8) {
	if m.exact() || t.crashes == 0 {
		return
	}
	t.loose |= v
	if v == 0 && (t.entry.owed == 0 || m.durable()) {
		t.loose = 1 << t.newest
	}
}

// exact reports whether a crash takes nothing back.
func (m *model) exact() bool { return m.crashes == 0 || m.durable() && m.mode != inMirror }

// crash ends the process and starts the next one, without a clean close. Calls
// that were on their way to a member are dropped, or can still apply: fate says
// to which members.
func (m *model) crash(s *modelState, fate uint8) {
	t := *s
	t.crashes--
	t.crashed = true
	t.lock, t.lazy, t.carrier = 0, false, modelCarrier{}
	var flying uint8
	for i, o := range m.ops {
		c := &s.client[i]
		if c.at == clientIdle || c.at == clientDone {
			continue
		}
		for b := range uint8(2) {
			if o.write && c.call[b] == callSent && !s.member[b].left {
				flying |= 1 << b
				if fate&(1<<b) != 0 {
					t.member[b].zombie = 1 + o.value
				}
			}
		}
		if !o.write {
			m.hear(&t, newsGaveUp, i, 0)
		}
		t.client[i] = modelClient{at: clientDone}
	}
	if fate&^flying != 0 {
		return
	}
	if !m.exact() {
		loose := t.loose
		if loose&(loose-1) == 0 {
			loose = 0 // one value only: there is nothing to choose
		}
		m.hear(&t, newsCut, 0, loose)
		t.loose = 0
	}
	for b := range t.member {
		mb := &t.member[b]
		mb.left, mb.late, mb.proof = false, 0, false
		mb.taint = m.without != norestarttaint
	}
	t.entry = modelEntry{modelVersion: m.recovered(t.disk)}
	m.add(t, -1, "the process crashes and starts again", -1, -1)
}

// recovered is what a start makes of a record: an intent is rolled forward.
func (m *model) recovered(r modelRecord) modelVersion {
	if r.intent && m.without == rollback {
		return modelVersion{}
	}
	return r.modelVersion
}
