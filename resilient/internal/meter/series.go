package meter

import "github.com/holdfastkv/holdfast/resilient"

// opCount is the number of operations that a call can have.
const opCount = int(resilient.OpHealth)

// outcomes holds a histogram for each operation and outcome; nil for those
// that are not expected.
type outcomes [opCount][outcomeCount]Histogram

// answered returns a set of outcomes.
func answered(in ...outcome) (set [outcomeCount]bool) {
	for _, o := range in {
		set[o] = true
	}
	return set
}

// fill makes the histograms of the outcomes in set. Of all operations only Get
// can miss.
func (o *outcomes) fill(ops int, set [outcomeCount]bool, histogram func(op, outcome string) Histogram) {
	for op := range resilient.Op(ops) { //#nosec G115 -- there are eight operations
		for out, in := range set {
			if in && (outcome(out) != notFound || op == resilient.OpGet) {
				o[op][out] = histogram(operation(op), outcomeWords[out])
			}
		}
	}
}

// series are those of one source. Which of them there are depends on its role;
// they do not change.
type series struct {
	src          source
	maker        Maker
	group, store string // as labels

	durations outcomes // of calls that this store, or nobody in this group, answered
	own       outcomes // of calls that this group answered for itself

	calls      [verdictCount]Counter
	retries    Counter
	rejections Counter
	panics     Counter
	ambiguous  Counter
	appends    Counter
	syncs      Histogram
	ages       Histogram
}

func newSeries(maker Maker, src source) *series {
	s := &series{src: src, maker: maker, group: label(src.group), store: label(src.store)}
	switch src.role {
	case aStore:
		s.fill(&s.durations, s.store, answered(ok, notFound, invalid, canceled, rejected, timeout, failed))
		s.ambiguous = maker.Counter(AmbiguousWrites, s.group, s.store)
		s.guarded()
	case aMember:
		s.fill(&s.durations, s.store, answered(ok, notFound))
		s.guarded()
		s.owing()
	case aGroup:
		s.fill(&s.durations, nobody, answered(invalid, canceled, rejected, failed))
		s.fill(&s.own, s.group, answered(ok, notFound))
		s.ambiguous = maker.Counter(AmbiguousWrites, s.group, nobody)
		s.syncs = maker.Histogram(JournalSyncDuration, s.group)
	case aCached:
		s.ages = maker.Histogram(StaleAge, s.store)
	}
	return s
}

// fill makes histograms of calls that backend answered.
func (s *series) fill(o *outcomes, backend string, set [outcomeCount]bool) {
	o.fill(opCount, set, func(op, outcome string) Histogram {
		return s.maker.Histogram(OperationDuration, s.group, backend, op, outcome)
	})
}

// guarded makes the series of a store behind a breaker.
func (s *series) guarded() {
	for v, word := range verdictWords {
		s.calls[v] = s.maker.Counter(BreakerCalls, s.group, s.store, word)
	}
	s.retries = s.maker.Counter(Retries, s.group, s.store)
	s.rejections = s.maker.Counter(Rejections, s.group, s.store)
	s.panics = s.maker.Counter(Panics, s.group, s.store)
	for _, word := range checkWords {
		s.maker.Histogram(CheckDuration, s.group, s.store, word)
	}
	for _, t := range transitions {
		for _, reason := range t.reasons {
			s.maker.Counter(BreakerTransitions, s.group, s.store, t.from, t.to, reason)
		}
	}
}

// transitions are those that a breaker makes.
var transitions = [...]struct {
	from, to string
	reasons  []string
}{
	{stateClosed, stateOpen, []string{reasonConsecutive, reasonRate, reasonHealth, reasonManual}},
	{stateOpen, stateHalfOpen, []string{reasonProbeOK, reasonElapsed, reasonManual}},
	{stateHalfOpen, stateOpen, []string{reasonProbeFailed, reasonTrialFailed, reasonManual}},
	{stateHalfOpen, stateClosed, []string{reasonProbeOK, reasonTrialOK, reasonManual}},
	{stateOpen, stateClosed, []string{reasonManual}},
	{stateClosed, stateHalfOpen, []string{reasonManual}},
}

// owing makes the series of a store that can be owed writes.
func (s *series) owing() {
	s.appends = s.maker.Counter(JournalAppends, s.group, s.store)
	for _, outcome := range []string{replayApplied, replayFailed} {
		s.maker.Counter(JournalReplays, s.group, s.store, outcome)
	}
	for _, reason := range []string{lostClosed, lostDiscarded} {
		s.maker.Counter(LostWrites, s.group, s.store, reason)
	}
}
