package resilient

import (
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// mood is what is known of a store when the next check is planned.
type mood struct {
	state breaker.State
	doubt bool // calls fail or hang
	good  bool // the latest check was good
}

// pace plans health checks. It has no clock and no chance of its own: random is
// from 0 to 1 and spreads what would be at the same time.
type pace struct {
	cfg  Probe // with defaults
	down time.Duration
}

// first returns how long to wait for the first check.
func (p *pace) first(random float64) time.Duration {
	return time.Duration(random * p.cfg.Jitter * float64(p.cfg.FastInterval))
}

// next returns how long to wait after a check. While the store is away the
// interval grows from one failed check to the next.
func (p *pace) next(m mood, random float64) time.Duration {
	if m.state == breaker.Open && !m.good {
		switch {
		case p.down == 0:
			p.down = p.cfg.DownInterval
		default:
			p.down = min(p.down+p.down/2, p.cfg.MaxDownInterval)
		}
	} else {
		p.down = 0
	}
	return p.wait(m, random)
}

// wait returns how long to wait in all after the latest check, seen from now.
// A good answer of a store that is away is in doubt as well.
func (p *pace) wait(m mood, random float64) time.Duration {
	d := p.cfg.Interval
	switch {
	case m.state == breaker.Open && !m.good:
		d = max(p.down, p.cfg.DownInterval)
	case m.state != breaker.Closed || m.doubt || !m.good:
		d = p.cfg.FastInterval
	}
	return time.Duration(float64(d) * (1 + p.cfg.Jitter*(2*random-1)))
}
