package failover_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holdfastkv/holdfast/resilient"
)

// simIn is what a client asked of one key.
type simIn struct {
	op    byte // 'r' read, 'l' listed, 'w' write, 'd' delete
	key   string
	value string
}

// simOut is what it was told.
type simOut struct {
	value   string
	present bool
	unsure  bool // a write that may have been applied
}

type simState struct {
	value   string
	present bool
}

// register is one key: what was written last is read.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		at := map[string]int{}
		var parts [][]porcupine.Operation
		for _, o := range history {
			key := o.Input.(simIn).key
			n, ok := at[key]
			if !ok {
				n = len(parts)
				at[key] = n
				parts = append(parts, nil)
			}
			parts[n] = append(parts[n], o)
		}
		return parts
	},
	Init: func() any { return simState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(simState), input.(simIn), output.(simOut)
		switch in.op {
		case 'w':
			return true, simState{in.value, true}
		case 'd':
			return true, simState{}
		case 'l':
			return out.present == s.present, s
		}
		return out.present == s.present && (!s.present || out.value == s.value), s
	},
}

// history is what the clients of one run saw.
type history struct {
	began time.Time

	mu      sync.Mutex // guards all below
	ops     []porcupine.Operation
	refused map[string]bool // values of writes that were certainly not applied
	wrong   []string
	calls   int
	failed  int
	unsure  int
}

func newHistory() *history { return &history{began: time.Now(), refused: map[string]bool{}} }

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// wrote notes how a write of one key ended.
func (h *history) wrote(client int, in simIn, call int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	out, end := simOut{}, h.now()
	switch {
	case err == nil:
	case errors.Is(err, resilient.ErrAmbiguous):
		out.unsure, end = true, math.MaxInt64
		h.unsure++
	case errors.Is(err, resilient.ErrRefused), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		h.failed++
		if in.op == 'w' {
			h.refused[in.value] = true
		}
		return
	default:
		h.wrong = append(h.wrong, "a write failed without a class: "+err.Error())
		return
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// read notes what a read of one key gave; failed ones say nothing.
func (h *history) read(client int, in simIn, call int64, value []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	out := simOut{value: string(value), present: err == nil}
	if err != nil && !errors.Is(err, resilient.ErrNotFound) {
		h.failed++
		return
	}
	if out.present && in.op == 'r' && h.refused[out.value] {
		h.wrong = append(h.wrong, "a refused value was read: "+out.value)
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: h.now()})
}

// check returns whether the history is linearizable per key.
func (h *history) check() porcupine.CheckResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.ops {
		if in, out := o.Input.(simIn), o.Output.(simOut); in.op == 'r' && out.present && h.refused[out.value] {
			h.wrong = append(h.wrong, "a refused value was read: "+out.value)
		}
	}
	return porcupine.CheckOperationsTimeout(register, prune(h.ops), time.Minute)
}

// prune makes ambiguous writes cheap to check, and changes no verdict: every
// value is written once, so an ambiguous Set of a key that is never listed and
// that no read saw may be taken to have come last, and one that was seen took effect before the first read that
// saw it returned.
func prune(ops []porcupine.Operation) []porcupine.Operation {
	seen, listed := map[simIn]int64{}, map[string]bool{}
	for _, o := range ops {
		in, out := o.Input.(simIn), o.Output.(simOut)
		if in.op == 'l' {
			listed[in.key] = true
		}
		if in.op != 'r' || !out.present {
			continue
		}
		w := simIn{'w', in.key, out.value}
		if at, ok := seen[w]; !ok || o.Return < at {
			seen[w] = o.Return
		}
	}
	var kept []porcupine.Operation
	for _, o := range ops {
		in, out := o.Input.(simIn), o.Output.(simOut)
		if in.op == 'w' && out.unsure {
			at, ok := seen[in]
			if !ok && !listed[in.key] {
				continue
			}
			if ok {
				o.Return = max(at, o.Call)
			}
		}
		kept = append(kept, o)
	}
	return kept
}

// explain returns the end of the shortest part of the history that is wrong.
func (h *history) explain() string {
	for _, ops := range register.Partition(prune(h.ops)) {
		if porcupine.CheckOperations(register, ops) {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		n := sort.Search(len(ops), func(n int) bool { return !porcupine.CheckOperations(register, ops[:n]) })
		var b strings.Builder
		for _, o := range ops[max(0, n-30):n] {
			in, out := o.Input.(simIn), o.Output.(simOut)
			end := "never"
			if o.Return != math.MaxInt64 {
				end = time.Duration(o.Return).String()
			}
			fmt.Fprintf(&b, "\n  client %2d %c %s %-6s -> %-6s %v  %v .. %s", o.ClientId, in.op, in.key, in.value, out.value, out.present, time.Duration(o.Call), end)
		}
		return b.String()
	}
	return ""
}
