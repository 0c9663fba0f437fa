package breaker

import (
	"errors"
	"slices"
	"time"
)

// lease is a place among the trial calls.
type lease struct {
	id  uint64
	end time.Time
}

var errLease = errors.New("breaker: trial call still under way at the end of its lease")

// lease takes a place among the trial calls. ok is false if there is none.
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

// endLease ends the oldest lease: its call hangs, or its Permit is lost, and
// either way the trial has failed.
func (m *machine) endLease(now time.Time) {
	m.open(true, "trial call outlived its lease", errLease, now)
}
