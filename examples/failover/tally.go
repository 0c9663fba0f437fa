package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// tally counts calls as their callers saw them. Safe for concurrent use.
type tally struct {
	began time.Time

	mu     sync.Mutex // guards all below
	counts counts
	recent time.Duration // the slowest call since the last look
	failed complaints
	wrong  complaints
}

// counts is what came of all calls so far.
type counts struct {
	calls     int
	uncertain int // reads that no member could answer for certain
	slowest   time.Duration
	slowestOp resilient.Op
	slowestAt time.Duration // since the beginning
}

// complaints counts what went wrong and keeps the first few in words: the rest
// tell nothing new.
type complaints struct {
	n     int
	first []string
}

const complaintsKept, complaintLength = 5, 300

func (c *complaints) add(text string) {
	c.n++
	if len(c.first) < complaintsKept {
		if len(text) > complaintLength {
			text = text[:complaintLength] + "..."
		}
		c.first = append(c.first, text)
	}
}

func newTally() *tally { return &tally{began: time.Now()} }

// called counts a call that began at began and has just ended.
func (t *tally) called(op resilient.Op, began time.Time, err error) {
	d, at := time.Since(began), time.Since(t.began)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.calls++
	t.recent = max(t.recent, d)
	if d > t.counts.slowest {
		t.counts.slowest, t.counts.slowestOp, t.counts.slowestAt = d, op, at
	}
	switch {
	case errors.Is(err, failover.ErrUncertain):
		t.counts.uncertain++
	case err != nil:
		t.failed.add(fmt.Sprintf("at %.2fs after %v: %v", at.Seconds(), d.Round(time.Millisecond), err))
	}
}

// judge counts a wrong answer; nil is a right one.
func (t *tally) judge(err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong.add(fmt.Sprintf("at %.2fs: %v", time.Since(t.began).Seconds(), err))
}

// look returns how many calls were made and failed until now, and the slowest
// since the last look.
func (t *tally) look() (calls, failed int, slowest time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slowest, t.recent = t.recent, 0
	return t.counts.calls, t.failed.n, slowest
}
