package failover_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// simIn is what a client asked of one key.
type simIn struct {
	op    byte // 'r' read, 'l' listed, 'w' write, 'd' delete, 'x' crash
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
	// others are values that the key may also have since a crash: after one,
	// the members of a mirror may differ until the key's next write.
	others string
}

func (s simState) is(out simOut, listed bool) bool {
	if out.present == s.present && (!s.present || listed || out.value == s.value) {
		return true
	}
	if s.others == "" {
		return false
	}
	if !out.present {
		return strings.Contains(s.others, ",;")
	}
	return listed || strings.Contains(s.others, ","+out.value+";")
}

// register is one key: what was written last is read.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(simIn).key
			parts[key] = append(parts[key], o)
		}
		return slices.Collect(maps.Values(parts))
	},
	Init: func() any { return simState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(simState), input.(simIn), output.(simOut)
		switch in.op {
		case 'w':
			return true, simState{value: in.value, present: true}
		case 'd':
			return true, simState{}
		case 'x':
			s.others = in.value
			return true, s
		}
		return s.is(out, in.op == 'l'), s
	},
}

// history is what the clients of one run saw.
type history struct {
	began time.Time
	loose bool // a crash may leave members that differ

	mu        sync.Mutex // guards all below
	ops       []porcupine.Operation
	refused   map[string]bool // values of writes that were certainly not applied
	wrong     []string
	calls     int
	failed    int
	unsure    int
	uncertain int
	crashes   []int64
}

func newHistory() *history { return &history{began: time.Now(), refused: map[string]bool{}} }

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// crashed notes that the process dies.
func (h *history) crashed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crashes = append(h.crashes, h.now())
}

// simCall is a call under way.
type simCall struct {
	h      *history
	client int
	at     int64
	cut    func() bool // the process has died, and nobody hears the answer
}

func (h *history) begin(client int, cut func() bool) simCall { return simCall{h, client, h.now(), cut} }

// wrote notes how a write of some keys ended.
func (c simCall) wrote(err error, ins ...simIn) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	out, end := simOut{}, h.now()
	h.calls++
	switch {
	case c.cut() || errors.Is(err, resilient.ErrAmbiguous):
		out.unsure, end = true, math.MaxInt64
		h.unsure++
	case err == nil:
	case errors.Is(err, resilient.ErrRefused), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		h.failed++
		for _, in := range ins {
			h.refused[in.value] = in.op == 'w'
		}
		return
	default:
		h.wrong = append(h.wrong, "a write failed without a class: "+err.Error())
		return
	}
	for _, in := range ins {
		h.ops = append(h.ops, porcupine.Operation{ClientId: c.client, Input: in, Call: c.at, Output: out, Return: end})
	}
}

// read notes what a read of one key gave; failed ones say nothing.
func (c simCall) read(in simIn, value []byte, err error) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	out := simOut{value: string(value), present: err == nil}
	switch {
	case c.cut():
		return
	case errors.Is(err, failover.ErrUncertain):
		h.uncertain++
		return
	case err != nil && !errors.Is(err, resilient.ErrNotFound):
		h.failed++
		return
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: c.client, Input: in, Call: c.at, Output: out, Return: h.now()})
}

// atLast notes what the first member holds in the end.
func (h *history) atLast(key, value string, present bool, at int64) {
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: 99, Input: simIn{op: 'r', key: key}, Call: at, Output: simOut{value: value, present: present}, Return: at,
	})
}

// check returns what is wrong with the history; "" if it is linearizable per
// key.
func (h *history) check() string {
	if len(h.wrong) > 0 {
		return h.wrong[0]
	}
	for _, o := range h.ops {
		if in, out := o.Input.(simIn), o.Output.(simOut); in.op == 'r' && out.present && h.refused[out.value] {
			return "a refused value was read: " + out.value
		}
	}
	ops := h.checked()
	switch porcupine.CheckOperationsTimeout(register, ops, time.Minute) {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return "it could not be checked"
	}
	return explain(ops)
}

// isWrong reports whether one key's operations are certainly not linearizable.
func isWrong(ops []porcupine.Operation) bool {
	return porcupine.CheckOperationsTimeout(register, ops, 2*time.Second) == porcupine.Illegal
}

// wrongKeys returns the keys whose history is wrong.
func (h *history) wrongKeys() (keys []string) {
	for _, ops := range register.Partition(h.checked()) {
		if isWrong(ops) {
			keys = append(keys, ops[0].Input.(simIn).key)
		}
	}
	return keys
}

// checked returns the operations as they are checked.
func (h *history) checked() []porcupine.Operation {
	ops := prune(h.ops)
	if !h.loose {
		return ops
	}
	for _, at := range h.crashes {
		for _, key := range simKeys {
			ops = append(ops, porcupine.Operation{
				ClientId: 98, Input: simIn{'x', key, h.possible(at, key)}, Call: at, Output: simOut{}, Return: at,
			})
		}
	}
	return ops
}

// possible returns the values that some member may have for key at a time: those
// of writes that may have been applied, and of acknowledged ones that no other
// acknowledged one came after for certain.
func (h *history) possible(at int64, key string) string {
	var last int64 // call of the latest acknowledged write that was over
	values, any := "", false
	for _, o := range h.ops {
		if in := o.Input.(simIn); in.key == key && in.op != 'r' && in.op != 'l' && o.Return <= at {
			last, any = max(last, o.Call), true
		}
	}
	if !any {
		values = ",;"
	}
	for _, o := range h.ops {
		in := o.Input.(simIn)
		if in.key == key && in.op != 'r' && in.op != 'l' && o.Call <= at && (o.Output.(simOut).unsure || o.Return >= last) {
			values += "," + in.value + ";"
		}
	}
	return values
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

// explain returns the end of the shortest part of a wrong history that is
// wrong.
func explain(history []porcupine.Operation) string {
	for _, ops := range register.Partition(history) {
		if !isWrong(ops) {
			continue
		}
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		n := sort.Search(len(ops), func(n int) bool { return isWrong(ops[:n]) })
		var b strings.Builder
		for _, o := range ops[max(0, n-30):n] {
			in, out := o.Input.(simIn), o.Output.(simOut)
			end := "never"
			if o.Return != math.MaxInt64 {
				end = time.Duration(o.Return).String()
			}
			fmt.Fprintf(&b, "\n  client %2d %c %s %-6s -> %-6s %v  %v .. %s",
				o.ClientId, in.op, in.key, in.value, out.value, out.present, time.Duration(o.Call), end)
		}
		return b.String()
	}
	return ""
}
