package failover

import (
	"context"
	"time"
)

// leastShare is what an attempt gets of the caller's time, where that fits: a
// round trip to another data centre takes less.
const leastShare = 50 * time.Millisecond

// share returns how much of remaining the next of left candidates may use: an
// equal part, but at least leastShare where each of them can have that. The
// last one gets all.
func share(remaining time.Duration, left int) time.Duration {
	if left <= 1 {
		return remaining
	}
	part := remaining / time.Duration(left)
	if part < leastShare && remaining >= 2*leastShare {
		return leastShare
	}
	return part
}

// shareOf returns the time that an attempt at a member may take at most, with
// left candidates to go. bounded is false if neither ctx nor the member sets a
// bound.
func shareOf(ctx context.Context, timeout time.Duration, left int) (d time.Duration, bounded bool) {
	d, bounded = timeout, timeout > 0
	if deadline, ok := ctx.Deadline(); ok {
		if s := share(time.Until(deadline), left); !bounded || s < d {
			d, bounded = s, true
		}
	}
	return d, bounded
}
