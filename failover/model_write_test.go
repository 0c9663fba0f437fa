package failover_test

// begin is client i's write, once it has the key's lock: the entry is published
// and, where it must be, durable; then the write is sent. In which order the
// route has the members, and which of them is in doubt, can change at any
// moment, so it is either order and either one.
func (m *model) begin(s *modelState, i int) {
	if s.lock != 0 {
		return
	}
	t := *s
	t.lock = uint8(i + 1)
	t.client[i].at = clientWriting
	m.hear(&t, newsBegan, i, 0)
	prev := t.entry.modelVersion
	next := modelVersion{known: true, value: m.ops[i].value, owed: bothMembers}
	if m.mode == inHandoff {
		next.owed, next.clean = 1<<firstMember, prev.clean
	}
	t.entry = modelEntry{modelVersion: next, writing: true, prev: prev}
	m.loosen(&t, 1<<t.newest|1<<next.value)
	if m.intended(s) {
		m.put(&t, next, true)
	}
	if m.mode != inHandoff {
		n := t
		m.send(&n, i, firstMember)
		m.send(&n, i, secondMember)
		m.add(n, i, "begins at both", -1, -1)
	}
	for b := range uint8(2) {
		n := t
		n.client[i].then = bothMembers &^ (1 << b)
		m.send(&n, i, b)
		m.add(n, i, "begins", int(b), -1)
		if m.mode == inHandoff {
			n.client[i].then = 0 // in Mirror that is the same as a refusal
			m.add(n, i, "begins, the other one drained,", int(b), -1)
		}
	}
}

// intended reports whether the intent must be durable before anything is sent:
// in MirrorStrict, and for a key that has a record, in memory or on disk.
func (m *model) intended(s *modelState) bool {
	recorded := s.disk.known || s.entry.known
	switch m.without {
	case lateintent:
		return m.mode != inStrict && recorded
	case stalehint:
		recorded = s.entry.owed != 0
	case recordintent:
		recorded = false
	}
	return m.mode == inStrict || recorded
}

// send sends client i's write to member b. In Handoff a record is durable
// before the second is sent anything.
func (m *model) send(t *modelState, i int, b uint8) {
	if m.mode == inHandoff && b == secondMember && m.without != lateintent {
		v := t.entry.modelVersion
		v.clean = m.without != noclean
		m.put(t, v, true)
	}
	c := &t.client[i]
	c.call[b] = callSent
	if m.without != taintack {
		c.dirty = t.tainted()
	}
}

// answered notes member b's answer to client i's write. In Mirror the first
// that is no refusal decides it, and an OK is what a member is owed no longer.
func (m *model) answered(t *modelState, i int, b uint8) {
	c, e := &t.client[i], &t.entry
	result := c.call[b]
	if result == callUnsure && m.without == noquiesceWrite {
		t.member[b].taint = false
	}
	if result != callRefused && (m.mode != inHandoff || m.without == decideearly && result == callUnsure) {
		e.decided = true
	}
	switch {
	case m.mode == inHandoff && b == secondMember:
		if result == callOK || result == callUnsure && m.without != cleanack {
			e.clean = m.without != noclean
		}
	case result == callOK && c.dirty&(1<<b) == 0,
		result == callUnsure && m.without == ambforget,
		result == callRefused && m.without == refforget:
		e.owed &^= 1 << b
	}
}

func (c *modelClient) has(result uint8) bool {
	return c.call[firstMember] == result || c.call[secondMember] == result
}

// end is what follows the last answer to client i's write that is waited for:
// sending to the next member, or the write's end.
func (m *model) end(s *modelState, i int) {
	c := &s.client[i]
	if c.has(callSent) || c.has(callApplied) {
		return
	}
	t := *s
	ok, maybe := c.has(callOK), c.has(callUnsure)
	switch {
	case c.then != 0 && !ok && (m.mode == inHandoff || !maybe):
		b := c.then >> 1 // of a set of one
		t.client[i].then = 0
		m.send(&t, i, b)
		m.add(t, i, "goes on", int(b), -1)
	case !ok && !maybe:
		m.undo(&t)
		t.loose &^= 1 << m.ops[i].value
		m.finish(t, i, newsDenied)
	case !ok && m.without == ambrefuse:
		m.undo(&t)
		m.finish(t, i, newsDenied)
	case !ok && m.without == ambfail:
		m.undo(&t)
		m.finish(t, i, newsGaveUp)
	default:
		for b, result := range c.call {
			if !ok && m.without == ambown && result == callRefused {
				t.entry.owed &^= 1 << b
			}
		}
		m.keep(&t)
		switch {
		case m.without == partialfail && c.call[firstMember] == callRefused:
			m.finish(t, i, newsDenied)
		case ok || m.durable():
			m.finish(t, i, newsGot)
		default:
			m.finish(t, i, newsGaveUp)
		}
	}
}

// keep ends the entry's being written, with what is owed durable.
func (m *model) keep(t *modelState) {
	e := &t.entry
	t.newest = e.value
	e.writing, e.decided, e.prev = false, false, modelVersion{}
	if e.owed != 0 && m.without != nojournal || m.without == recordintent {
		m.put(t, e.recorded().modelVersion, false)
	}
	m.settle(t)
	m.loosen(t, 0)
}

// undo makes the entry what it was before the write, durably if its record was
// touched.
func (m *model) undo(t *modelState) {
	prev := t.entry.prev
	t.entry = modelEntry{modelVersion: prev}
	if t.disk.intent && m.without != lazyrevert {
		t.disk = prev.recorded()
	}
	t.lazy = m.durable() && t.disk != prev.recorded()
}

// finish releases the key's lock and answers client i. A write that may or may
// not have been applied can still take effect, so the client hears nothing.
func (m *model) finish(t modelState, i int, news modelNews) {
	text := "ends, acknowledged"
	switch news {
	case newsDenied:
		text = "ends, refused"
	case newsGaveUp:
		text = "ends, ambiguous"
	}
	if news != newsGaveUp {
		m.hear(&t, news, i, 0)
	}
	t.lock = 0
	t.client[i] = modelClient{at: clientDone}
	m.add(t, i, text, -1, -1)
}
