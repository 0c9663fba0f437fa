package resilient

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/holdfastkv/holdfast/breaker"
)

// again makes the attempts after a failed first one, a, and leaves in a what
// came of them. A write that an earlier attempt may have applied stays one that
// may have been applied, whatever a later attempt says but OK.
func (s *Store) again(ctx context.Context, a *attempt, call func(context.Context) error) {
	delays := s.cfg.Retry.delays()
	for a.number < s.cfg.Retry.Attempts && s.worthRetrying(a) {
		// The breaker may have opened in the meantime, and be half-open by now:
		// its trials are not for retries.
		if !s.sleep(ctx, delays.NextBackOff()) || s.breaker.State() != breaker.Closed {
			s.budget.giveBack()
			break
		}
		before := *a
		*a = attempt{store: s, op: a.op, number: a.number + 1}
		a.run(ctx, call) // if it ends the goroutine, a is what the call's end is told of
		if a.refusal != notRefused {
			*a = before
			s.budget.giveBack()
			return // what the store itself said last is the better answer
		}
		if before.uncertain() && a.err != nil && !a.uncertain() {
			a.class, a.err = Failed, &maybeApplied{a.err}
		}
		if a.err == nil || a.class == Missing {
			s.budget.earn()
			return
		}
	}
	if err := ctx.Err(); err != nil {
		a.err = withCause(a.err, err)
	}
}

// delays returns fully jittered exponential delays: uniform up to Base, then
// up to twice as long, up to Max.
func (r Retry) delays() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(max(r.Base/2, 1)),
		backoff.WithMaxInterval(max(r.Max/2, 1)),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(1),
		backoff.WithMaxElapsedTime(0),
	)
}

// worthRetrying reports whether the call of a may be made again, and takes
// that from the budget.
func (s *Store) worthRetrying(a *attempt) bool {
	switch {
	case a.outcome == breaker.Ignored:
		return false
	case a.class == Conflict || a.class == Refused:
	case a.class == Failed && (!a.op.Writes() || s.cfg.Retry.AmbiguousWrites):
	default:
		return false
	}
	return s.breaker.State() == breaker.Closed && s.budget.spend()
}

// sleep waits for d. It reports false at once if ctx would end before that,
// and as soon as ctx ends or the Store is closed.
func (s *Store) sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil && !s.closed.Load()
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// budget is what retries are paid from, in thousandths of one. The reserve
// that it starts with is also the most it holds, so that a store that is well
// costs no writes to shared memory.
type budget struct {
	earned int64 // per success; negative: there is no budget
	left   atomic.Int64
}

const (
	retryPrice   = 1000
	retryReserve = 10 * retryPrice
)

func (b *budget) fill(perSuccess float64) {
	b.earned = int64(min(perSuccess*retryPrice, retryReserve))
	if perSuccess < 0 {
		b.earned = -1 // one near 0 too, and whatever a machine makes of the least there is
	}
	b.left.Store(retryReserve)
}

func (b *budget) earn() {
	if b.earned <= 0 {
		return
	}
	if left := b.left.Load(); left < retryReserve {
		b.left.CompareAndSwap(left, min(left+b.earned, retryReserve)) // one lost to a race is no loss
	}
}

// giveBack takes the price of a retry back that was not made.
func (b *budget) giveBack() {
	if b.earned < 0 {
		return
	}
	for {
		left := b.left.Load()
		if b.left.CompareAndSwap(left, min(left+retryPrice, retryReserve)) {
			return
		}
	}
}

func (b *budget) spend() bool {
	if b.earned < 0 {
		return true
	}
	for {
		left := b.left.Load()
		if left < retryPrice {
			return false
		}
		if b.left.CompareAndSwap(left, left-retryPrice) {
			return true
		}
	}
}
