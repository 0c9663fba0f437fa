// Package linear records what the clients of a store were told and checks with
// porcupine that the calls of each key are linearizable: some order of them
// explains every answer, and keeps to the order of calls that did not overlap.
package linear

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// What a client asks of one key. A Listed is a read that says only whether the
// key is there.
const (
	Read   = 'r'
	Listed = 'l'
	Write  = 'w'
	Delete = 'd'

	crash = 'x'
)

// Clients of a history that are none.
const (
	crashClient = 98
	finalClient = 99
)

// In is what a client asks of one key. The values of all writes of a history
// differ.
type In struct {
	Op    byte
	Key   string
	Value string
}

// out is what it was told.
type out struct {
	value   string
	present bool
	unsure  bool // a write that may have been applied
}

// Counts are how many calls there were, and how many of them ended without an
// answer: Failed were refused or reads that failed, Unsure writes that may have
// been applied, Uncertain reads that only an absent member could answer.
type Counts struct{ Calls, Failed, Unsure, Uncertain int }

// History is what the clients of one run saw. Its methods are safe for
// concurrent use but for Check and WrongKeys, which come after all calls.
type History struct {
	// Loose says that a crash may leave members that differ: after one a key
	// may have any value that some member may have, until its next write.
	Loose bool

	began time.Time

	mu      sync.Mutex // guards all below
	ops     []porcupine.Operation
	refused map[string]bool // values of writes that were certainly not applied
	wrong   []string
	counts  Counts
	crashes []int64
}

// New returns an empty history that begins now.
func New() *History { return &History{began: time.Now(), refused: map[string]bool{}} }

// Now returns the time since the history began, in nanoseconds.
func (h *History) Now() int64 { return int64(time.Since(h.began)) }

// Counts returns what has been recorded so far.
func (h *History) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts
}

// Crashed notes that the process dies.
func (h *History) Crashed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crashes = append(h.crashes, h.Now())
}

// Call is a call under way.
type Call struct {
	h      *History
	client int
	at     int64
	end    int64 // 0 = when the result is noted
	cut    func() bool
}

// Begin notes that client begins a call. Once cut reports true the process has
// died, and nobody hears the answer; nil = it lives.
func (h *History) Begin(client int, cut func() bool) Call {
	if cut == nil {
		cut = func() bool { return false }
	}
	return Call{h: h, client: client, at: h.Now(), cut: cut}
}

// Past returns a call of another process that lasted from one time to another,
// both as that process saw them.
func (h *History) Past(client int, from, to time.Time) Call {
	c := h.Begin(client, nil)
	c.at, c.end = int64(from.Sub(h.began)), int64(to.Sub(h.began))
	return c
}

func (c Call) now() int64 {
	if c.end != 0 {
		return c.end
	}
	return c.h.Now()
}

// Wrote notes how a write of some keys ended.
func (c Call) Wrote(err error, ins ...In) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	told, end := out{}, c.now()
	h.counts.Calls++
	switch {
	case c.cut() || errors.Is(err, resilient.ErrAmbiguous):
		told.unsure, end = true, math.MaxInt64
		h.counts.Unsure++
	case err == nil:
	case errors.Is(err, resilient.ErrRefused), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		h.counts.Failed++
		for _, in := range ins {
			h.refused[in.Value] = in.Op == Write
		}
		return
	default:
		h.wrong = append(h.wrong, "a write failed without a class: "+err.Error())
		return
	}
	for _, in := range ins {
		h.ops = append(h.ops, porcupine.Operation{ClientId: c.client, Input: in, Call: c.at, Output: told, Return: end})
	}
}

// Read notes what a read of one key gave; failed ones say nothing.
func (c Call) Read(in In, value []byte, err error) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Calls++
	told := out{value: string(value), present: err == nil}
	switch {
	case c.cut():
		return
	case errors.Is(err, failover.ErrUncertain):
		h.counts.Uncertain++
		return
	case err != nil && !errors.Is(err, resilient.ErrNotFound):
		h.counts.Failed++
		return
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: c.client, Input: in, Call: c.at, Output: told, Return: c.now()})
}

// CrashedAt notes that another process died at a time.
func (h *History) CrashedAt(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crashes = append(h.crashes, int64(at.Sub(h.began)))
}

// Final notes what a store holds at a time after all calls.
func (h *History) Final(key, value string, present bool, at int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: finalClient, Input: In{Op: Read, Key: key}, Call: at, Output: out{value: value, present: present}, Return: at,
	})
}
