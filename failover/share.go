package failover

import "time"

// leastShare is what an attempt gets of the caller's time, where that fits: a
// round trip to another data centre takes less.
const leastShare = 50 * time.Millisecond

// share returns how much of remaining the next of left candidates may use: an
// equal part, but at least leastShare while that leaves as much for the others
// together. The last one gets all.
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
