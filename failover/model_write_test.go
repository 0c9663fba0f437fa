package failover_test

// begin is client i's write, once it has the key's lock: the entry is published
// and, where it must be, durable; then the write is sent. In which order the
// route has the members, and which of them are in doubt, can change at any
// moment, so it is any order and any of them.
func (m *model) begin(s *modelState, i int) {
	if s.lock != 0 {
		return
	}
	t := *s
	t.lock = uint8(i + 1)
	t.client[i].at = writing
	m.hear(&t, began, i, 0)
	prev := t.entry.modelVersion
	next := modelVersion{known: true, value: m.ops[i].value, owed: both}
	if m.mode == handoff {
		next.owed, next.clean = 1<<first, prev.clean
	}
	t.entry = modelEntry{modelVersion: next, writing: true, prev: prev}
	m.loosen(&t, 1<<t.newest|1<<next.value)
	if m.intended(s) {
		m.put(&t, next, true)
	}
	if m.mode == handoff {
		for b := range uint8(2) {
			n := t
			n.client[i].then = both &^ (1 << b)
			m.try(&n, i, b)
			m.add(n, i, "begins, sent", int(b), -1)
		}
		return
	}
	m.send(&t, i, both)
	m.add(t, i, "begins, sent to both", -1, -1)
	for b := range uint8(2) {
		n := *s
		n = t
		n.client[i].call, n.client[i].then = [2]uint8{}, both&^(1<<b)
		m.send(&n, i, 1<<b)
		m.add(n, i, "begins, the other one in doubt, sent", int(b), -1)
	}
}

// intended reports whether the intent must be durable before anything is sent:
// in MirrorStrict, and for a key that has a record, in memory or on disk.
func (m *model) intended(s *modelState) bool {
	switch m.without {
	case lateintent:
		if m.mode == strict {
			return false
		}
	case stalehint:
		return m.mode == strict || s.entry.known && s.entry.owed != 0
	case recordintent:
		return m.mode == strict
	}
	return m.mode == strict || s.disk.known || s.entry.known
}

// try is Handoff's sending to one member. A record is durable before the
// second is sent anything.
func (m *model) try(t *modelState, i int, b uint8) {
	if b == second && m.without != lateintent {
		v := t.entry.modelVersion
		v.clean = m.without != noclean
		m.put(t, v, true)
	}
	m.send(t, i, 1<<b)
}

// answered goes on with client i's write after member b's answer.
func (m *model) answered(t *modelState, i int, b uint8) {
	if m.mode == handoff {
		m.answeredHandoff(t, i, b)
		return
	}
	c := &t.client[i]
	e := &t.entry
	switch {
	case c.call[b] == okay:
		// The first answer that is no refusal decides the write.
		e.decided = true
		if c.dirty&(1<<b) == 0 {
			e.owed &^= 1 << b
		}
	case c.call[b] == unsure:
		e.decided = true
		if m.without == ambforget {
			e.owed &^= 1 << b
		}
		if m.without == noquiesceWrite {
			t.member[b].taint = false
		}
	case m.without == refforget:
		e.owed &^= 1 << b
	}
	switch {
	case c.pending() || c.took():
	case c.then != 0:
		// Nobody has taken it: those in doubt get it too.
		later := c.then
		c.then = 0
		m.send(t, i, later)
	default:
		m.takeBack(t, i)
	}
}

// pending reports whether a call has not been answered.
func (c *modelClient) pending() bool {
	return c.has(sent) || c.has(applied)
}

// took reports whether a member has the write or may have it.
func (c *modelClient) took() bool { return c.has(okay) || c.has(unsure) }

func (c *modelClient) has(result uint8) bool {
	return c.call[first] == result || c.call[second] == result
}

// end is the end of client i's write in Mirror: what is owed is durable, then
// the client is answered.
func (m *model) end(s *modelState, i int) {
	c := &s.client[i]
	if m.mode == handoff || c.pending() || !c.took() {
		return
	}
	t := *s
	if !c.has(okay) {
		switch m.without {
		case ambfail, ambrefuse:
			m.undo(&t)
			m.finish(&t, i, m.without == ambrefuse, false)
			m.add(t, i, "ends as if it were not applied", -1, -1)
			return
		case ambown:
			for b := range uint8(2) {
				if c.call[b] == refused {
					t.entry.owed &^= 1 << b
				}
			}
		}
	}
	m.keep(&t)
	denied := m.without == partialfail && c.call[first] == refused
	m.finish(&t, i, denied, c.has(okay) || m.durable())
	m.add(t, i, m.verdict(denied, c.has(okay) || m.durable()), -1, -1)
}

func (m *model) verdict(denied, acked bool) string {
	switch {
	case denied:
		return "ends, refused"
	case acked:
		return "ends, acknowledged"
	}
	return "ends, ambiguous"
}

// keep ends the entry's being written, with what is owed durable.
func (m *model) keep(t *modelState) {
	t.newest = t.entry.value
	t.entry.writing, t.entry.decided, t.entry.prev = false, false, modelVersion{}
	if t.entry.owed != 0 && m.without != nojournal {
		m.put(t, t.entry.modelVersion, false)
	}
	if m.without == recordintent && t.entry.owed == 0 {
		m.put(t, t.entry.recorded().modelVersion, false)
	}
	m.settle(t)
	m.loosen(t, 0)
}

// undo makes the entry what it was before the write, durably if its record was
// touched.
func (m *model) undo(t *modelState) {
	prev := t.entry.prev
	touched := t.disk.intent && m.without != lazyrevert
	t.entry = modelEntry{modelVersion: prev}
	if touched {
		t.disk, t.lazy = prev.recorded(), false
	}
	t.lazy = m.durable() && t.disk != prev.recorded()
}

// takeBack ends a write that every member refused.
func (m *model) takeBack(t *modelState, i int) {
	t.loose &^= 1 << m.ops[i].value
	m.undo(t)
	m.finish(t, i, true, false)
}

// finish releases the key's lock and answers the client.
func (m *model) finish(t *modelState, i int, isDenied, acked bool) {
	switch {
	case isDenied:
		m.hear(t, denied, i, 0)
	case acked:
		m.hear(t, got, i, 0)
	}
	t.lock = 0
	t.client[i] = modelClient{at: done}
}

// answeredHandoff goes on with client i's write after member b's answer: with
// the next member, or with its end.
func (m *model) answeredHandoff(t *modelState, i int, b uint8) {
	c := t.client[i]
	if m.without == noquiesceWrite && c.call[b] == unsure {
		t.member[b].taint = false
	}
	if c.call[b] == okay || c.then == 0 {
		m.endHandoff(t, i)
		return
	}
	if c.call[b] == applied || c.call[b] == sent {
		return
	}
	next := uint8(first)
	if c.then == 1<<second {
		next = second
	}
	t.client[i].then = 0
	m.try(t, i, next)
}

func (m *model) endHandoff(t *modelState, i int) {
	c := t.client[i]
	e := &t.entry
	switch {
	case m.without == noclean:
	case c.call[second] == okay, c.call[second] == unsure && m.without != cleanack:
		e.clean = true
	}
	if c.call[first] == okay && c.dirty&(1<<first) == 0 || c.call[first] == unsure && m.without == ambforget || c.call[first] == refused && m.without == refforget {
		e.owed = 0
	}
	switch {
	case !c.took():
		m.takeBack(t, i)
		return
	case !c.has(okay) && (m.without == ambfail || m.without == ambrefuse):
		m.undo(t)
		m.finish(t, i, m.without == ambrefuse, false)
		return
	}
	m.keep(t)
	m.finish(t, i, false, c.has(okay) || m.durable())
}
