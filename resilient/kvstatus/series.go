package kvstatus

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// outcome is how a call ended, as far as the page tells outcomes apart.
type outcome uint8

const (
	served  outcome = iota // with an answer, a miss included
	stale                  // by a cache in place of the store
	refused                // certainly not applied
	failed                 // may have been applied
	other                  // the caller left, or the call itself was wrong
	outcomes
)

var outcomeWords = [outcomes]string{"served", "stale", "refused", "failed", "other"}

func outcomeOf(c resilient.Class) outcome {
	switch c {
	case resilient.OK, resilient.Missing, resilient.Conflict:
		return served
	case resilient.Refused:
		return refused
	case resilient.Failed:
		return failed
	}
	return other
}

// bins is how many there are for durations, two for each doubling from 256 ns
// on: the last begins at 12.9 s.
const bins = 52

func binOf(d time.Duration) int {
	v := uint64(max(d, 0)) >> 8
	n := bits.Len64(v)
	if n < 2 {
		return n
	}
	return min(2*(n-1)+int(v>>(n-2)&1), bins-1)
}

// binStart returns the least duration in a bin.
func binStart(bin int) time.Duration {
	if bin < 2 {
		return time.Duration(bin) << 8
	}
	return time.Duration(2|bin&1) << (bin/2 - 1) << 8
}

// second is what happened in one second, as one shard has seen it.
type second struct {
	at    atomic.Int64 // Unix time; 0 = none yet
	count [outcomes]atomic.Uint32
	took  [bins]atomic.Uint32 // of calls served or failed
}

// ring holds somewhat more seconds than are shown, so that none is shown while
// it begins anew.
const ring = history + 12

type shard struct {
	mu   sync.Mutex // serializes the beginnings of seconds; held for some 50 stores
	ring [ring]second
}

// series is what happened in each of the last seconds. Calls are spread over
// shards by chance, so that callers on many processors do not meet.
type series struct {
	shards []atomic.Pointer[shard] // made when first needed; a power of two
}

func newSeries() *series {
	n := 1
	for n < runtime.GOMAXPROCS(0) && n < 4 {
		n *= 2
	}
	return &series{shards: make([]atomic.Pointer[shard], n)}
}

// add counts a call that ended at a time.
func (s *series) add(at time.Time, how outcome, took time.Duration) {
	sec := s.second(at)
	sec.count[how].Add(1)
	if how == served || how == failed {
		sec.took[binOf(took)].Add(1)
	}
}

func (s *series) second(t time.Time) *second {
	at := t.Unix()
	p := &s.shards[spread(t)&(len(s.shards)-1)]
	sh := p.Load()
	if sh == nil {
		p.CompareAndSwap(nil, new(shard))
		sh = p.Load()
	}
	sec := &sh.ring[uint64(at)%ring] //#nosec G115 -- any bits will do
	if sec.at.Load() != at {
		sh.begin(sec, at)
	}
	return sec
}

// spread returns two bits that the digits of t leave to chance.
func spread(t time.Time) int { return int(uint32(t.Nanosecond()) * 0x9E3779B1 >> 30) } //#nosec G115 -- below 1e9

// begin empties a second of an earlier lap.
func (sh *shard) begin(sec *second, at int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sec.at.Load() == at {
		return
	}
	for i := range sec.count {
		sec.count[i].Store(0)
	}
	for i := range sec.took {
		sec.took[i].Store(0)
	}
	sec.at.Store(at)
}

// sum is what happened in one or more seconds.
type sum struct {
	count [outcomes]int
	took  [bins]int
	timed int // how many are in took
}

// add adds what happened in the second at.
func (s *series) addTo(total *sum, at int64) {
	for i := range s.shards {
		sh := s.shards[i].Load()
		if sh == nil {
			continue
		}
		sec := &sh.ring[uint64(at)%ring] //#nosec G115 -- any bits will do
		if sec.at.Load() != at {
			continue
		}
		for i := range sec.count {
			total.count[i] += int(sec.count[i].Load())
		}
		for i := range sec.took {
			n := int(sec.took[i].Load())
			total.took[i] += n
			total.timed += n
		}
	}
}

// between adds up the n seconds before the second end.
func (s *series) between(end int64, n int) (total sum) {
	for at := end - int64(n); at < end; at++ {
		s.addTo(&total, at)
	}
	return total.settled()
}

// settled takes answers of a cache from the refused and failed calls that they
// stand for.
func (s sum) settled() sum {
	left := s.count[stale]
	for _, of := range []outcome{refused, failed} {
		taken := min(left, s.count[of])
		s.count[of] -= taken
		left -= taken
	}
	return s
}

// calls returns how many there were.
func (s *sum) calls() (n int) {
	for _, c := range s.count {
		n += c
	}
	return n
}

// quantile returns how long the share q of calls took at most, within the
// width of a bin, and false if there were none.
func (s *sum) quantile(q float64) (time.Duration, bool) {
	if s.timed == 0 {
		return 0, false
	}
	rank := q * float64(s.timed)
	seen := 0.0
	for bin, n := range s.took {
		if n == 0 {
			continue
		}
		if seen+float64(n) >= rank {
			from, to := binStart(bin), binStart(bin+1)
			return from + time.Duration(float64(to-from)*(rank-seen)/float64(n)), true
		}
		seen += float64(n)
	}
	return binStart(bins), true
}
