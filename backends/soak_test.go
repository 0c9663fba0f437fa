package backends_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flap is the time from one outage of a primary to the next. It lasts half of
// that.
const flap = 2 * time.Second

// soak is a run of some groups side by side in this process.
type soak struct {
	all    []*soaked
	gate   sync.RWMutex
	quiet  []level // at the end of each flap, with no call under way
	loaded []level // the highest of each flap
}

func newSoak(t *testing.T, clients int, seed uint64) *soak {
	k := &soak{all: []*soaked{redisThenBolt(t), boltThenBolt(t)}}
	for i, s := range k.all {
		s.prepare(t, clients, seed+uint64(i), &k.gate)
	}
	return k
}

// run flaps so many times, and returns what this process held before the groups
// were made and after they were closed.
func (k *soak) run(t *testing.T, flaps int) (before, after level) {
	for _, s := range k.all {
		s.rehearse(t)
	}
	before = atRest(t, level{}, level{})
	stop := make(chan struct{})
	var loads sync.WaitGroup
	for _, s := range k.all {
		s.open(t)
		loads.Go(func() { s.load.run(s.clients, stop) })
	}
	for n := range flaps {
		k.flap(t, n)
	}
	close(stop)
	loads.Wait()
	for _, s := range k.all {
		s.close(t)
	}
	return before, atRest(t, before, roomAfter)
}

// flap takes the primaries away and brings them back, and measures.
func (k *soak) flap(t *testing.T, n int) {
	var peak []level
	began := time.Now()
	until := func(at time.Duration) {
		for ; time.Since(began) < at; time.Sleep(20 * time.Millisecond) {
			peak = append(peak, counted(t))
		}
	}
	var journals []string
	var backs []func()
	for _, s := range k.all {
		s.away.Store(true)
		backs = append(backs, s.take(n))
		journals = append(journals, s.journal)
	}
	until(flap / 2)
	for i, back := range backs {
		back()
		k.all[i].away.Store(false)
	}
	until(flap)
	k.gate.Lock()
	defer k.gate.Unlock()
	k.quiet, k.loaded = append(k.quiet, levelNow(t, journals...)), append(k.loaded, highest(peak))
}

// perConnection is what rediskv holds for a connection, in bytes: 64 KiB are the
// driver's buffers, the rest is its client.
const perConnection = 68 << 10

// room is how much the last third of the quiet moments may be above the first
// though nothing leaks. What leaks stays, so that the lowest of a third has it;
// what was under way at one of its moments, the lowest has not.
func (k *soak) room(first level) level {
	// A pool keeps as many connections as calls have ever met, and that can be
	// more at any time.
	pool := int64(k.all[0].connections())
	return level{
		goroutines: int64(2 * len(k.all)), // a check of each member
		fds:        pool,
		heap:       pool * perConnection,
		journal:    first.journal, // bbolt doubles a file that is full while it is small
	}
}

// ceiling is what there may be at any moment: the highest that there was at a
// quiet one, and what can be under way.
func (k *soak) ceiling() level {
	most := highest(k.quiet)
	// While a member hangs and is not suspect yet, a write leaves a call to it
	// behind whenever it has waited for Straggle, and that call lasts for Timeout.
	const straggle = 20 * time.Millisecond
	const left = int64(attempt / straggle)
	// A call left behind has its own goroutine and one that waits for it. A write
	// has one at each member, and its caller's; a hand-back, of which each member
	// may have one, has four workers and a goroutine for each of their calls.
	const perClient, perMember = 2*left + 3, 2 * 4
	for _, s := range k.all {
		most.goroutines += perClient*int64(s.clients) + perMember*int64(len(s.places))
	}
	most.fds += int64(k.all[0].connections())
	return most
}

// roomAfter is how much more there may be when all is closed.
var roomAfter = level{heap: 512 << 10}

// TestSoak: primaries that flap under full load cost nothing that grows; no call
// fails, no read is wrong, nothing acknowledged is lost; and when the groups are
// closed the process is as it was before.
// HOLDFAST_SOAK is how many seconds it lasts, HOLDFAST_SOAK_CLIENTS how many call
// each group; HOLDFAST_SEED repeats a run's choices.
func TestSoak(t *testing.T) {
	seed := uint64(variable(t, "HOLDFAST_SEED", int(time.Now().UnixNano())))
	flaps := variable(t, "HOLDFAST_SOAK", 12) / int(flap.Seconds())
	require.GreaterOrEqual(t, flaps, 6, "invalid: thirds of fewer outages show nothing")
	k := newSoak(t, variable(t, "HOLDFAST_SOAK_CLIENTS", 6), seed)
	before, after := k.run(t, flaps)
	left := fmt.Sprintf("%s\n%s", stacks(), strings.Join(descriptors(), "\n"))
	for _, s := range k.all {
		s.judge(t)
	}

	first, last := thirds(k.quiet, lowest)
	peak := highest(k.loaded)
	t.Logf("RESULT kind=soak %s goroutines_before=%d goroutines_first=%d goroutines_last=%d goroutines_after=%d "+
		"goroutines_most=%d fds_before=%d fds_first=%d fds_last=%d fds_after=%d fds_most=%d "+
		"heap_before=%d heap_first=%d heap_last=%d heap_after=%d journal_first=%d journal_last=%d rss_first=%d rss_last=%d seed=%d",
		k.did(flaps), before.goroutines, first.goroutines, last.goroutines, after.goroutines,
		peak.goroutines, before.fds, first.fds, last.fds, after.fds, peak.fds,
		before.heap, first.heap, last.heap, after.heap, first.journal, last.journal, first.rss, last.rss, seed)
	for n := range k.quiet {
		t.Logf("flap %d: quiet %+v, under load at most %+v", n, k.quiet[n], k.loaded[n])
	}
	for _, s := range k.all {
		s.require(t, flaps)
	}
	require.Empty(t, last.above(first, k.room(first)), "it grows")
	require.Empty(t, peak.above(k.ceiling(), level{}), "more than can be under way")
	require.Empty(t, after.above(before, roomAfter), "it is still there when all is closed:\n%s", left)
}

// did is what all groups have done, for the line with the result.
func (k *soak) did(flaps int) string {
	var members []string
	var sum struct{ clients, calls, failed, lost, wrong, back, differs int }
	var switches, flipped, away, owed, handedBack int64
	for _, s := range k.all {
		members = append(members, names(s.places))
		sum.clients += s.clients
		sum.calls += s.pipe.calls
		sum.failed += s.counts.Failed + s.counts.Uncertain + s.counts.Unsure
		sum.lost, sum.wrong = sum.lost+s.verdict.lost, sum.wrong+s.verdict.wrongReads
		sum.back, sum.differs = sum.back+s.verdict.back, sum.differs+s.verdict.differs
		switches, flipped, away = switches+s.told.switches.Load(), flipped+s.flipped.Load(), away+s.whileAway.Load()
		owed, handedBack = owed+s.told.owed.Load(), handedBack+s.told.handedBack.Load()
	}
	return fmt.Sprintf("members=%s clients=%d ops=%d faults=%d switches=%d switches_under_writes=%d writes_while_away=%d owed=%d handed_back=%d "+
		"failed=%d lost_acked=%d wrong_reads=%d resurrected=%d differ=%d", strings.Join(members, "+"), sum.clients, sum.calls, flaps*len(k.all),
		switches, flipped, away, owed, handedBack, sum.failed, sum.lost, sum.wrong, sum.back, sum.differs)
}
