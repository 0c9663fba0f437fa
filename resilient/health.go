package resilient

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkup is one call of Health, in a goroutine of its own so that whoever
// wants the answer need not wait for it.
type checkup struct {
	began   time.Time
	ended   chan struct{} // closed when Health has returned
	verdict               // read after ended
}

// verdict is what came of a health check.
type verdict struct {
	err     error
	class   Class // of err
	unknown bool  // err is ErrHealthUnknown
}

// startCheckup calls health with ctx. Its error is judged right there, so that
// one whose methods panic, or a classifier that does, is a failed check too.
func startCheckup(ctx context.Context, health func(context.Context) error, classify func(error) Class) *checkup {
	c := &checkup{began: time.Now(), ended: make(chan struct{}), verdict: verdict{err: errExited, class: Failed}}
	go func() {
		defer close(c.ended)
		defer func() {
			if v := recover(); v != nil {
				c.verdict = verdict{err: &PanicError{Value: v}, class: Failed}
			}
		}()
		v := verdict{err: health(ctx)}
		if v.err != nil {
			_ = v.err.Error()
			v.class, v.unknown = classify(v.err), errors.Is(v.err, ErrHealthUnknown)
		}
		c.verdict = v
	}()
	return c
}

// hangs reports whether Health has not returned yet.
func (c *checkup) hangs() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// check makes one health check that ends after timeout or when ctx does, even
// if health ignores its context. It returns the call too, which may go on.
func check(ctx context.Context, timeout, slowAfter time.Duration, health func(context.Context) error, classify func(error) Class) (Check, verdict, *checkup) {
	bounded, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	c := startCheckup(bounded, health, classify)
	select {
	case <-c.ended:
	case <-bounded.Done():
	}
	result := c.result(slowAfter)
	v := verdict{err: ctx.Err(), class: Failed}
	if !c.hangs() {
		v = c.verdict
		// Whether a store that heeds its ctx is back before it is given up is
		// chance: either way it has timed out.
		if deadline, _ := bounded.Deadline(); v.err != nil && !v.unknown && ctx.Err() == nil && !result.Time.Before(deadline) {
			v.err = withCause(v.err, ErrTimeout)
		}
	} else if v.err == nil {
		v.err = &lateError{after: timeout}
	}
	result.Err = v.err
	return result, v, c
}

// result returns the Check of c as far as time goes.
func (c *checkup) result(slowAfter time.Duration) Check {
	now := time.Now()
	latency := now.Sub(c.began)
	return Check{Time: now, Latency: latency, Slow: latency > slowAfter}
}

// lateError is a health check that was not answered in time. It matches
// ErrTimeout and context.DeadlineExceeded.
type lateError struct{ after time.Duration }

func (e *lateError) Error() string {
	return fmt.Sprintf("holdfast: no answer to the health check within %v", e.after)
}

func (e *lateError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}
