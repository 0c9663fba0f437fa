package resilient

import (
	"context"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// changed is the breaker's OnChange: the group first, whose routing depends on
// it, then who only watches.
func (s *Store) changed(c breaker.Change) {
	if s.prober != nil {
		s.prober.wake()
	}
	if m := s.member.Load(); m != nil && m.hooks.Changed != nil {
		contain(func() { m.hooks.Changed(c) })
	}
	if tell := s.cfg.Breaker.OnChange; tell != nil {
		contain(func() { tell(c) })
	}
	s.tell(context.Background(), &Event{
		Kind: KindChange, Time: c.At, From: c.From.String(), To: c.To.String(), Duration: c.OpenFor, Reason: c.Reason, Err: c.Err,
	})
}

// checked tells of a health check that began at began and ended with c.
func (s *Store) checked(began time.Time, c Check) {
	if m := s.member.Load(); m != nil && m.hooks.Checked != nil {
		contain(func() { m.hooks.Checked(began, c) })
	}
}

// contain keeps a panic of f from its caller.
func contain(f func()) {
	defer func() { _ = recover() }()
	f()
}
