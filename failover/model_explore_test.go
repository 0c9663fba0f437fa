package failover_test

import (
	"fmt"
	"strings"
)

// found is what an exploration has found.
type modelFound struct {
	states int
	fault  string // "" = none
	trace  []string
}

func (f modelFound) String() string {
	return fmt.Sprintf("%s, after %d steps:\n  %s", f.fault, len(f.trace), strings.Join(f.trace, "\n  "))
}

// explore visits every state that can be reached, nearest first, until one is
// at fault. So the trace to it is a shortest one.
func (m *model) explore() modelFound {
	m.spec = newModelSpec(m.ops)
	states, from := []modelState{m.start()}, []int32{0}
	seen := map[modelState]struct{}{states[0]: {}}
	for n := 0; n < len(states); n++ {
		s := states[n]
		steps := m.steps(&s)
		if fault := m.fault(&s, len(steps) == 0); fault != "" {
			return modelFound{len(states), fault, m.trace(states, from, n)}
		}
		for i := range steps {
			if _, ok := seen[steps[i].to]; ok {
				continue
			}
			seen[steps[i].to] = struct{}{}
			states = append(states, steps[i].to)
			from = append(from, int32(n))
		}
	}
	return modelFound{states: len(states)}
}

// trace finds out again which steps led to state n.
func (m *model) trace(states []modelState, from []int32, n int) []string {
	if n == 0 {
		return nil
	}
	before := m.trace(states, from, int(from[n]))
	for _, step := range m.steps(&states[from[n]]) {
		if step.to == states[n] {
			return append(before, step.what.in(m))
		}
	}
	panic("a step cannot be repeated")
}

func (m *model) start() modelState {
	s := modelState{downs: m.downs, losses: m.losses, crashes: m.crashes, newest: oldValue}
	s.member[firstMember].value = oldValue
	if m.mode != inHandoff {
		s.member[secondMember].value = oldValue
	}
	m.loosen(&s, 1<<oldValue)
	return s
}

// fault says what is wrong with s. last: nothing can happen any more.
func (m *model) fault(s *modelState, last bool) string {
	if s.told == noWay {
		return "not linearizable"
	}
	if !s.quiet() {
		if last {
			return "it never comes to rest"
		}
		return ""
	}
	if last && s.disk.known {
		return "a record is left"
	}
	if last {
		for i := range m.ops {
			if s.client[i].at != clientDone {
				return "a client waits for ever"
			}
		}
	}
	// Whoever asks now must get an answer that is linearizable too.
	if m.spec.hear(s.told, newsFinally, 0, s.member[firstMember].value) == noWay {
		return "nothing is owed, and the first member has the wrong version"
	}
	if m.mode != inHandoff && m.spec.hear(s.told, newsFinally, 0, s.member[secondMember].value) == noWay {
		return "nothing is owed, and the second member has the wrong version"
	}
	switch {
	case !m.exact() && s.crashed:
		// The guarantee leaves open which version each member has.
	case m.mode == inHandoff && s.member[secondMember].value != noValue:
		return "nothing is owed, and the second member keeps a copy"
	case m.mode != inHandoff && s.member[firstMember].value != s.member[secondMember].value:
		return "nothing is owed, and the members differ"
	}
	return ""
}
