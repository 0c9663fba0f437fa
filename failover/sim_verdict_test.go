package failover_test

import (
	"fmt"

	"github.com/holdfastkv/holdfast/failover"
)

// verdict is what a run, or many, has shown.
type verdict struct {
	tally
	seeds                             int
	lost, resurrected, wrong, notLive int
	bad                               uint64 // the first bad seed
	text                              string // what was wrong with it
}

func (v *verdict) add(o verdict, seed uint64) {
	v.tally.add(o.tally)
	v.seeds++
	v.lost += o.lost
	v.resurrected += o.resurrected
	v.wrong += o.wrong
	v.notLive += o.notLive
	if v.bad == 0 && o.lost+o.resurrected+o.wrong+o.notLive > 0 {
		v.bad, v.text = seed, o.text
	}
}

// String is the RESULT line of a scenario.
func (v verdict) String() string {
	return fmt.Sprintf("seeds=%d ops=%d faults=%d crashes=%d switches=%d overlaps=%d failed=%d uncertain=%d ambiguous=%d "+
		"lost_acked=%d wrong_reads=%d resurrected=%d not_live=%d first_bad_seed=%d",
		v.seeds, v.ops, v.faults, v.crashes, v.switches, v.overlaps, v.failed, v.uncertain, v.unsure,
		v.lost, v.wrong, v.resurrected, v.notLive, v.bad)
}

// judge looks at the history and at what the members hold in the end.
func (s *simulation) judge() verdict {
	h, v := s.history, verdict{tally: s.tally}
	n := h.Counts()
	v.ops, v.failed, v.unsure, v.uncertain = n.Calls, n.Failed, n.Unsure, n.Uncertain
	if s.unrest != nil {
		v.notLive++
		v.text += fmt.Sprintf("not at rest: %v; ", s.unrest)
	}
	if why := h.Check(); why != "" {
		v.wrong++
		v.text += "the history is wrong: " + why + "; "
		return v
	}
	// What the first member holds is read as one more client would, at last.
	for _, key := range simKeys {
		value, ok := s.final[0][key]
		h.Final(key, value, ok, s.end)
	}
	if why := h.Check(); why != "" {
		for _, key := range h.WrongKeys() {
			if _, ok := s.final[0][key]; ok {
				v.resurrected++
			} else {
				v.lost++
			}
		}
		v.text += "the end is wrong: " + why + "; "
	}
	for _, key := range s.once {
		if _, ok := s.final[0][key]; !ok {
			v.lost++
			v.text += fmt.Sprintf("the first member lacks %q; ", key)
		}
	}
	s.compare(&v)
	return v
}

// union returns the keys of both.
func union(a, b map[string]string) map[string]bool {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// compare demands that the other members hold what the first does; in Handoff,
// nothing. A mirror that a crash cut off at a write is equal again after a
// Rebuild only.
func (s *simulation) compare(v *verdict) {
	first := s.final[0]
	if s.writes == failover.Mirror && s.tally.crashes > 0 && !s.rebuild {
		return
	}
	if s.writes == failover.Handoff {
		first = nil
	}
	for i, content := range s.final[1:] {
		for key := range union(content, first) {
			value, ok := content[key]
			want, has := first[key]
			switch {
			case ok == has && value == want:
				continue
			case ok && !has:
				v.resurrected++
			default:
				v.lost++
			}
			v.text += fmt.Sprintf("member %d holds %q=%q, should %q; ", i+1, key, value, want)
		}
	}
}
