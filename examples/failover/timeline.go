package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// timeline is the Observer of the group and of its stores. It prints what is
// rare when it happens, and what is frequent as sums, one row every rowEvery.
type timeline struct {
	began time.Time

	mu         sync.Mutex // guards all below, and keeps lines whole
	out        io.Writer
	serves     string
	owed       int // writes, so far
	handedBack int // keys, so far
	lost       int // writes given up by the group
	switches   int
}

var _ resilient.Observer = (*timeline)(nil)

// rowEvery is the time between two rows of sums.
const rowEvery = 400 * time.Millisecond

func newTimeline(out io.Writer) *timeline { return &timeline{began: time.Now(), out: out} }

// Observe takes note of e. Calls, checks and single owed writes are too many
// to print.
func (t *timeline) Observe(_ context.Context, e resilient.Event) {
	switch e.Kind {
	case resilient.KindChange, resilient.KindSwitch, resilient.KindOwed, resilient.KindHandedBack, resilient.KindLost:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case resilient.KindChange:
		t.sayLocked("breaker of %s: %s -> %s (%s)", e.Store, e.From, e.To, e.Reason)
	case resilient.KindSwitch:
		t.switches++
		t.serves = e.To
		if e.Nobody {
			t.sayLocked("nobody serves, %s did (%s)", e.From, e.Reason)
			return
		}
		t.sayLocked("%s serves in place of %s (%s)", e.To, e.From, e.Reason)
	case resilient.KindOwed:
		t.owed += e.Count
	case resilient.KindHandedBack:
		t.handedBack += e.Count
	case resilient.KindLost:
		t.lost += e.Count
		t.sayLocked("%d writes for %s are given up (%s)", e.Count, e.Store, e.Reason)
	}
}

// say prints one line of the script's.
func (t *timeline) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sayLocked("** %s", text)
}

func (t *timeline) sayLocked(format string, args ...any) {
	fmt.Fprintf(t.out, "%6.2fs  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// head prints what the columns of the rows are. serves is who serves until a
// Switch event says otherwise.
func (t *timeline) head(serves string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serves = serves
	fmt.Fprintf(t.out, "%7s  %-8s %7s %8s %9s %10s %12s\n", "time", "serves", "calls", "failed", "slowest", "keys owed", "handed back")
}

// rows prints sums until stop is closed. owedNow returns how many keys are owed
// at the moment.
func (t *timeline) rows(calls *tally, owedNow func() int, stop <-chan struct{}) {
	tick := time.NewTicker(rowEvery)
	defer tick.Stop()
	var before, failedBefore int
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		made, failed, slowest := calls.look()
		owed := owedNow()
		t.mu.Lock()
		fmt.Fprintf(t.out, "%6.2fs  %-8s %7d %8d %9v %10d %12d\n", time.Since(t.began).Seconds(), t.serves,
			made-before, failed-failedBefore, slowest.Round(time.Millisecond), owed, t.handedBack)
		t.mu.Unlock()
		before, failedBefore = made, failed
	}
}
