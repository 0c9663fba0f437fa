package failover_test

// steps returns all that can happen in s. The result is valid until the next
// call.
func (m *model) steps(s *modelState) []modelStep {
	m.out = m.out[:0]
	m.world(s)
	m.journal(s)
	m.handBack(s)
	m.carry(s)
	for i, o := range m.ops {
		c := &s.client[i]
		switch {
		case c.at == clientIdle && i > 0 && m.ops[i-1] == o && s.client[i-1].at == clientIdle:
			// Of two clients that do the same, the first begins first.
		case o.write && c.at == clientIdle:
			m.begin(s, i)
		case o.write && c.at == clientWriting:
			for b := range uint8(2) {
				m.answer(s, i, b)
			}
			m.end(s, i)
		case c.at == clientIdle || c.at == clientLooking:
			m.lookUp(s, i)
		case c.at == clientAsking:
			m.ask(s, i)
		}
	}
	return m.out
}

// add notes a step to t.
func (m *model) add(t modelState, client int, text string, member, value int) {
	m.out = append(m.out, modelStep{to: t, what: modelEvent{int8(client), text, int8(member), int8(value), ""}})
}

// hear notes that client i learns something.
func (m *model) hear(t *modelState, kind modelNews, i int, value uint8) {
	if t.told != noWay {
		t.told = m.spec.hear(t.told, kind, i, value)
	}
}

// world is what happens to the members.
func (m *model) world(s *modelState) {
	for b := range 2 {
		mb := &s.member[b]
		if mb.down {
			t := *s
			t.member[b].down = false
			m.add(t, -1, "up", b, -1)
			continue
		}
		if s.downs > 0 {
			t := *s
			t.downs--
			t.member[b].down = true
			m.add(t, -1, "down", b, -1)
		}
		if mb.zombie != 0 {
			t := *s
			n := &t.member[b]
			n.value, n.zombie = mb.zombie-1, 0
			if mb.left {
				n.left, n.late = false, mb.zombie
			}
			m.add(t, -1, "an abandoned call applies", b, int(n.value))
		}
		if mb.left {
			t := *s
			t.member[b].left, t.member[b].taint = false, true
			m.add(t, -1, "an abandoned call ends without an answer", b, -1)
			t.member[b].zombie, t.member[b].taint = 0, mb.taint
			m.add(t, -1, "an abandoned call is refused", b, -1)
		}
		// The window is over: a check was good, and none of the earlier calls
		// can apply any more.
		if (mb.taint || mb.zombie != 0) && !mb.left {
			t := *s
			t.member[b].taint, t.member[b].zombie = false, 0
			m.add(t, -1, "the ambiguity window ends", b, -1)
		}
		if mb.late != 0 && s.lock == 0 {
			m.lateAnswer(s, uint8(b))
		}
	}
	if s.crashes > 0 {
		for fate := range uint8(4) {
			m.crash(s, fate)
		}
	}
}

// lateAnswer: a call that was not waited for answers OK after all. The member
// is owed nothing then if the version is still the newest, and the member was
// not tainted when the call was sent, nor is it now: a hand-back may have been
// abandoned meanwhile.
func (m *model) lateAnswer(s *modelState, b uint8) {
	t := *s
	mb := &t.member[b]
	value, proof := mb.late-1, (mb.proof || m.without == taintlate) && !mb.taint
	mb.late, mb.proof = 0, false
	e := &t.entry
	if e.known && e.owed&(1<<b) != 0 && (e.value == value || m.without == lateany) && proof {
		e.owed &^= 1 << b
		m.settle(&t)
	}
	m.add(t, -1, "a late OK of", int(b), int(value))
}

// What can become of a call that is abandoned.
const (
	timesOut     = "times out, and is not applied"
	timesOutOpen = "times out, and can still apply"
)

// abandon is what can become of a call of v to member b of which nobody knows
// whether it will be applied. The model has room for one such call at a member: of two, either
// may be the one that can still apply.
func (m *model) abandon(t *modelState, b uint8, v uint8, then func(t modelState, text string)) {
	n := *t
	n.member[b].taint = true
	if n.member[b].zombie != 0 {
		then(n, timesOut)
	}
	if !n.member[b].left {
		n.member[b].zombie = 1 + v
		then(n, timesOutOpen)
	}
}

// answer is what can become of the call of client i's write to member b.
func (m *model) answer(s *modelState, i int, b uint8) {
	c := &s.client[i]
	v := m.ops[i].value
	mb := &s.member[b]
	settle := func(t modelState, text string, result uint8) {
		t.client[i].call[b] = result
		m.answered(&t, i, b)
		m.add(t, i, text, int(b), -1)
	}
	switch {
	case c.call[b] == callSent && mb.down:
		settle(*s, "is refused", callRefused)
	case c.call[b] == callSent:
		t := *s
		t.member[b].value = v
		t.client[i].call[b] = callApplied
		m.add(t, i, "is applied", int(b), -1)
	case c.call[b] == callApplied:
		t := *s
		if m.without == taintlate {
			t.client[i].dirty = s.tainted()
		}
		settle(t, "is answered OK", callOK)
	}
	if s.losses == 0 {
		return
	}
	t := *s
	t.losses--
	switch c.call[b] {
	case callSent:
		if m.leaving && mb.zombie == 0 && mb.late == 0 {
			n := t
			n.member[b].zombie, n.member[b].left = 1+v, true
			n.member[b].proof = c.dirty&(1<<b) == 0
			settle(n, "is waited for no longer", callUnsure)
		}
		m.abandon(&t, b, v, func(t modelState, text string) { settle(t, text, callUnsure) })
	case callApplied:
		if m.leaving && mb.late == 0 {
			n := t
			n.member[b].late, n.member[b].proof = 1+v, c.dirty&(1<<b) == 0
			settle(n, "is waited for no longer, though applied", callUnsure)
		}
		t.member[b].taint = true
		settle(t, "loses the answer", callUnsure)
	}
}

// lookUp is a read's look-up: what the overlay has is the answer, what it does
// not have is asked of a member. Which member the route wants first can change
// at any moment, so it is any that has not been asked.
func (m *model) lookUp(s *modelState, i int) {
	c, e := &s.client[i], &s.entry
	t := *s
	if c.at == clientIdle {
		m.hear(&t, newsBegan, i, 0)
	}
	undecided := e.writing && !e.decided
	version := e.modelVersion
	switch {
	case undecided && m.without == serveprev && e.prev.owed != 0:
		version, undecided = e.prev, false
	case undecided && m.without == servenext:
		undecided = false
	case undecided && m.without == nowait:
		version, undecided = modelVersion{}, false
	case m.without == nooverlay:
		version = modelVersion{}
	}
	if undecided {
		return // the read waits
	}
	if version.owed != 0 {
		m.answerRead(t, i, "is answered by the overlay with", -1, version.value)
		return
	}
	if c.tried == bothMembers {
		m.hear(&t, newsGaveUp, i, 0)
		t.client[i] = modelClient{at: clientDone}
		m.add(t, i, "gets no answer", -1, -1)
		return
	}
	for b := range uint8(2) {
		if c.tried&(1<<b) != 0 {
			continue
		}
		n := t
		n.client[i].at = clientAsking
		n.client[i].target = b
		if b == secondMember && version.clean && m.without != cleanhit {
			n.client[i].at = clientLooking
			n.client[i].tried |= 1 << b
			m.add(n, i, "does not ask what is to be removed", int(b), -1)
			continue
		}
		m.add(n, i, "looks up, and is to ask", int(b), -1)
	}
}

// ask is how the member that was asked answers client i's read. A time-out is,
// for a read, the same as a refusal.
func (m *model) ask(s *modelState, i int) {
	t := *s
	c := &t.client[i]
	b := c.target
	mb := &s.member[b]
	c.tried |= 1 << b
	c.at, c.target = clientLooking, 0
	switch {
	case mb.down:
		if m.without == norelookup && c.tried != bothMembers {
			c.at, c.target = clientAsking, 1-b
		}
		m.add(t, i, "is refused", int(b), -1)
	case m.mode == inHandoff && b == secondMember && mb.value == noValue && m.without != handcomplete:
		m.add(t, i, "misses, which is no answer,", int(b), -1)
	default:
		m.answerRead(t, i, "reads", int(b), mb.value)
	}
}

// answerRead ends client i's read.
func (m *model) answerRead(t modelState, i int, text string, member int, v uint8) {
	kind := newsGot
	if m.mode == inHandoff && m.memory && t.crashed && member == secondMember {
		kind = newsGaveUp // Degraded: after this crash it is outside the guarantee
	}
	m.hear(&t, kind, i, v)
	t.client[i] = modelClient{at: clientDone}
	m.add(t, i, text, member, int(v))
}
