//go:build planted

package failover

// plantedBug is the rule that is left out; "" = none. It changes only while no
// group exists.
var plantedBug string

func planted(bug string) bool { return bug == plantedBug }

func (w *spread) misread() {
	all := allMembers(len(w.f.peers))
	refused := all &^ (w.acked | w.unsure | w.pending)
	switch {
	case planted("ambfail") && w.acked|w.pending == 0:
		w.unsure = 0 // and nothing is kept
	case planted("ambown") && w.acked == 0:
		w.setOwed(w.unsure | w.pending)
	case planted("refforget"):
		w.setOwed(all &^ refused)
	case planted("partialfail") && len(w.order) > 0 && refused.has(w.order[0].i) && w.pending == 0:
		w.acked, w.unsure = 0, 0
	}
}

func (w *spread) setOwed(owed Members) {
	for _, e := range w.entries {
		s := w.f.overlay.stripe(e.key)
		s.mu.Lock()
		e.owed &= owed
		s.mu.Unlock()
	}
}
