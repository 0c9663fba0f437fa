package breaker

import (
	"errors"
	"math"
	"time"

	"github.com/sony/gobreaker/v2"
)

// A ledger counts one kind of evidence in a gobreaker.CircuitBreaker, which
// decides when it is enough. Only outcomes of calls that have ended are booked,
// as calls that take no time, one at a time under the Breaker's lock, so that
// no call is lost, hangs or runs inside it. Its callbacks touch only the ledger.
type ledger struct {
	cb     *gobreaker.CircuitBreaker[struct{}]
	state  gobreaker.State
	counts gobreaker.Counts // as they were at the latest failure
}

var errBooked = errors.New("failed")

func bookGood() (struct{}, error) { return struct{}{}, nil }
func bookBad() (struct{}, error)  { return struct{}{}, errBooked }

// newLedger returns a ledger that trips when a failure makes enough true.
func newLedger(st gobreaker.Settings, enough func(gobreaker.Counts) bool) *ledger {
	l := &ledger{}
	st.ReadyToTrip = func(c gobreaker.Counts) bool {
		l.counts = c
		return enough(c)
	}
	st.OnStateChange = func(_ string, _, to gobreaker.State) { l.state = to }
	l.cb = gobreaker.NewCircuitBreaker[struct{}](st)
	return l
}

// newRow returns a ledger that trips after n failures in a row; never if n is
// negative. It has no Interval: the row does not age.
func newRow(n int) *ledger {
	return newLedger(gobreaker.Settings{}, func(c gobreaker.Counts) bool {
		return n > 0 && int64(c.ConsecutiveFailures) >= int64(n)
	})
}

// longest is longer than any process lives. gobreaker rounds a window up to whole
// tenths, which overflows for the longest there are.
const longest = math.MaxInt64 / 2

// newWindow returns a ledger that trips when at least share of at least least
// outcomes in the last d, kept in tenths, were failures. The quotient of two small integers is
// correctly rounded, so a share written as a decimal is met exactly.
func newWindow(d time.Duration, share float64, least int) *ledger {
	d = min(d, longest)
	return newLedger(gobreaker.Settings{Interval: d, BucketPeriod: (d + 9) / 10}, func(c gobreaker.Counts) bool {
		return int64(c.Requests) >= int64(least) &&
			float64(c.TotalFailures)/float64(c.Requests) >= share
	})
}

// newTrials returns a tripped ledger that is proven by n successes. How long a
// Breaker stays open is not gobreaker's to say: its Timeout is the shortest
// there is, and each opening has a ledger of its own.
func newTrials(n int) *ledger {
	l := newLedger(gobreaker.Settings{MaxRequests: uint32(n), Timeout: 1}, //#nosec G115 -- validate allows what fits
		func(gobreaker.Counts) bool { return true })
	l.book(false)
	return l
}

// book enters one outcome.
func (l *ledger) book(good bool) {
	outcome := bookBad
	if good {
		outcome = bookGood
		l.counts.ConsecutiveFailures = 0
	}
	// The error is the outcome itself, or that the ledger has tripped already.
	_, _ = l.cb.Execute(outcome)
}

// tripped reports whether there were failures enough.
func (l *ledger) tripped() bool { return l.state == gobreaker.StateOpen }

// proven reports whether a ledger made by newTrials has its successes.
func (l *ledger) proven() bool { return l.state == gobreaker.StateClosed }

// row returns how many failures there were in a row.
func (l *ledger) row() int { return int(l.counts.ConsecutiveFailures) }

// share returns how many of how many outcomes were failures.
func (l *ledger) share() (failures, outcomes int) {
	return int(l.counts.TotalFailures), int(l.counts.Requests)
}

// successes returns how many successes a ledger made by newTrials(n) has, n at
// most.
func (l *ledger) successes(n int) int {
	if l.proven() {
		return n
	}
	return int(l.cb.Counts().ConsecutiveSuccesses)
}
