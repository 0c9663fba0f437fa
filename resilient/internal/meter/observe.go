package meter

import (
	"context"
	"errors"

	"github.com/holdfastkv/holdfast/resilient"
)

// Observe makes numbers of e, which it does not keep.
func (m *Meter) Observe(ctx context.Context, e *resilient.Event) {
	switch e.Kind {
	case resilient.KindCall:
		m.store(e).called(ctx, e)
	case resilient.KindDone:
		m.done(ctx, e)
	case resilient.KindProbe:
		s := m.store(e)
		m.maker.Histogram(CheckDuration, s.group, s.store, checkOutcome(e)).Record(ctx, e.Duration.Seconds())
		s.panicked(ctx, e.Err)
	case resilient.KindChange:
		s := m.store(e)
		m.maker.Counter(BreakerTransitions, s.group, s.store,
			breakerState(e.From, false), breakerState(e.To, false), transitionReason(e.Reason)).Add(ctx, 1)
	case resilient.KindSwitch:
		m.switched(ctx, e)
	case resilient.KindOwed:
		m.of(e.Group, e.Store, aMember).appends.Add(ctx, int64(e.Count))
		m.of(e.Group, "", aGroup).syncs.Record(ctx, e.Duration.Seconds())
	case resilient.KindHandedBack:
		m.of(e.Group, e.Store, aMember).handedBack(ctx, e)
	case resilient.KindStale:
		m.of("", e.Store, aCached).ages.Record(ctx, e.Age.Seconds())
	case resilient.KindLost:
		s := m.of(e.Group, e.Store, aMember)
		m.maker.Counter(LostWrites, s.group, s.store, lostReason(e.Reason)).Add(ctx, int64(e.Count))
	}
}

// called counts one attempt.
func (s *series) called(ctx context.Context, e *resilient.Event) {
	if e.Attempt > 1 {
		s.retries.Add(ctx, 1)
	}
	if e.Reason == "busy" {
		s.rejections.Add(ctx, 1) // it never came to the breaker
		return
	}
	s.calls[verdictOf(e)].Add(ctx, 1)
	s.panicked(ctx, e.Err)
}

// panicked counts a panic of the store.
func (s *series) panicked(ctx context.Context, err error) {
	if err == nil || err == resilient.ErrNotFound { //nolint:errorlint // the most frequent error of all, spared the walk
		return
	}
	var p *resilient.PanicError
	if errors.As(err, &p) {
		s.panics.Add(ctx, 1)
	}
}

// done counts one call as its caller saw it.
func (m *Meter) done(ctx context.Context, e *resilient.Event) {
	if int(e.Op) >= opCount {
		return
	}
	out := outcomeOf(e.Class, e.Err)
	var s *series
	var h Histogram
	backend := e.Store
	switch e.Group {
	case "":
		s = m.of("", e.Store, aStore)
		h = s.durations[e.Op][out]
		if e.Attempt > 0 {
			m.attempted(ctx, e, out)
		}
		if e.Ambiguous {
			s.ambiguous.Add(ctx, 1)
		}
	default:
		s, h, backend = m.answered(e, out)
		if e.Ambiguous {
			m.of(e.Group, "", aGroup).ambiguous.Add(ctx, 1)
		}
	}
	if h == nil { // nothing that a store or group of ours does
		h = m.maker.Histogram(OperationDuration, s.group, label(backend), operation(e.Op), outcomeWords[out])
	}
	h.Record(ctx, e.Duration.Seconds())
}

// answered returns the series of a group's call, by who answered it.
func (m *Meter) answered(e *resilient.Event, out outcome) (s *series, h Histogram, backend string) {
	switch e.Store {
	case "":
		s = m.of(e.Group, "", aGroup)
		return s, s.durations[e.Op][out], nobody
	case e.Group:
		s = m.of(e.Group, "", aGroup)
		return s, s.own[e.Op][out], e.Store
	}
	s = m.of(e.Group, e.Store, aMember)
	return s, s.durations[e.Op][out], e.Store
}

// attempted counts the attempts of a store's call.
func (m *Meter) attempted(ctx context.Context, e *resilient.Event, out outcome) {
	h := m.attempts[e.Op][out]
	if h == nil {
		h = m.maker.Histogram(OperationAttempts, operation(e.Op), outcomeWords[out])
	}
	h.Record(ctx, float64(e.Attempt))
}

// switched counts a change of a group's active member.
func (m *Meter) switched(ctx context.Context, e *resilient.Event) {
	m.of(e.Group, "", aGroup)
	direction := directionAway
	if e.Back {
		direction = directionBack
	}
	to := orNobody(e.To)
	if e.Nobody {
		to = nobody
	}
	m.maker.Counter(Failovers, label(e.Group), label(orNobody(e.From)), label(to), direction, switchReason(e.Reason)).Add(ctx, 1)
}

// handedBack counts what a pass of hand-back did.
func (s *series) handedBack(ctx context.Context, e *resilient.Event) {
	s.maker.Counter(JournalReplays, s.group, s.store, replayApplied).Add(ctx, int64(e.Count))
	if e.Err != nil {
		s.maker.Counter(JournalReplays, s.group, s.store, replayFailed).Add(ctx, 1)
	}
}
