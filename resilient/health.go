package resilient

import (
	"context"
	"fmt"
	"time"
)

// checkup is one call of Health, in a goroutine of its own so that whoever
// wants the answer need not wait for it.
type checkup struct {
	began time.Time
	ended chan struct{} // closed when Health has returned
	err   error         // what it returned; read after ended
}

// startCheckup calls health with ctx.
func startCheckup(ctx context.Context, health func(context.Context) error) *checkup {
	c := &checkup{began: time.Now(), ended: make(chan struct{}), err: errExited}
	go func() {
		defer close(c.ended)
		defer func() {
			if v := recover(); v != nil {
				c.err = &PanicError{Value: v}
			}
		}()
		c.err = health(ctx)
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
func check(ctx context.Context, timeout, slowAfter time.Duration, health func(context.Context) error) (Check, *checkup) {
	bounded, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	c := startCheckup(bounded, health)
	select {
	case <-c.ended:
	case <-bounded.Done():
	}
	result := c.result(slowAfter)
	if c.hangs() {
		result.Err = ctx.Err()
		if result.Err == nil {
			result.Err = &lateError{after: timeout}
		}
	} else {
		result.Err = c.err
	}
	return result, c
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
