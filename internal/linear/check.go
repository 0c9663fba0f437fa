package linear

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type state struct {
	value   string
	present bool
	// others are values that the key may also have since a crash: after one,
	// the members of a mirror may differ until the key's next write.
	others string
}

func (s state) is(got out, listed bool) bool {
	if got.present == s.present && (!s.present || listed || got.value == s.value) {
		return true
	}
	if s.others == "" {
		return false
	}
	if !got.present {
		return strings.Contains(s.others, ",;")
	}
	return listed || strings.Contains(s.others, ","+got.value+";")
}

// register is one key: what was written last is read. It is checked piece by
// piece.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(In).Key
			parts[key] = append(parts[key], o)
		}
		var all [][]porcupine.Operation
		for _, ops := range parts {
			all = append(all, pieces(ops, pieceOps)...)
		}
		return all
	},
	Init: func() any { return state{} },
	Step: func(before, input, output any) (bool, any) {
		s, in := before.(state), input.(In)
		switch in.Op {
		case Write:
			return true, state{value: in.Value, present: true}
		case Delete:
			return true, state{}
		case crash:
			s.others = in.Value
			return true, s
		}
		return s.is(output.(out), in.Op == Listed), s
	},
}

// Check returns what is wrong with the history; "" if it is linearizable per
// key and no refused value was read.
func (h *History) Check() string {
	if len(h.wrong) > 0 {
		return h.wrong[0]
	}
	for _, o := range h.ops {
		if in, got := o.Input.(In), o.Output.(out); in.Op == Read && got.present && h.refused[got.value] {
			return "a refused value was read: " + got.value
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

// WrongKeys returns the keys whose history is wrong.
func (h *History) WrongKeys() (keys []string) {
	for _, ops := range register.Partition(h.checked()) {
		if isWrong(ops) {
			keys = append(keys, ops[0].Input.(In).Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys) // a key may have several pieces
}

// isWrong reports whether a part of one key's operations is certainly not
// linearizable.
func isWrong(ops []porcupine.Operation) bool {
	return porcupine.CheckOperationsTimeout(register, ops, 2*time.Second) == porcupine.Illegal
}

// checked returns the operations as they are checked.
func (h *History) checked() []porcupine.Operation {
	ops := narrow(h.ops, h.Loose)
	if !h.Loose {
		return ops
	}
	for _, at := range h.crashes {
		for key := range h.keys() {
			ops = append(ops, porcupine.Operation{
				ClientId: crashClient, Input: In{crash, key, h.possible(at, key)}, Call: at, Output: out{}, Return: at,
			})
		}
	}
	return ops
}

func (h *History) keys() map[string]bool {
	keys := map[string]bool{}
	for _, o := range h.ops {
		keys[o.Input.(In).Key] = true
	}
	return keys
}

// possible returns the values that some member may have for key at a time: those
// of writes that may have been applied, and of acknowledged ones that no other
// acknowledged one came after for certain.
func (h *History) possible(at int64, key string) string {
	var last int64 // call of the latest acknowledged write that was over
	values, any := "", false
	writes := func(yield func(In, porcupine.Operation)) {
		for _, o := range h.ops {
			if in := o.Input.(In); in.Key == key && (in.Op == Write || in.Op == Delete) {
				yield(in, o)
			}
		}
	}
	writes(func(_ In, o porcupine.Operation) {
		if o.Return <= at {
			last, any = max(last, o.Call), true
		}
	})
	if !any {
		values = ",;"
	}
	writes(func(in In, o porcupine.Operation) {
		if o.Call <= at && (o.Output.(out).unsure || o.Return >= last) {
			values += "," + in.Value + ";"
		}
	})
	return values
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
			in, got := o.Input.(In), o.Output.(out)
			end := "never"
			if o.Return != math.MaxInt64 {
				end = time.Duration(o.Return).String()
			}
			fmt.Fprintf(&b, "\n  client %2d %c %s %-6s -> %-6s %v  %v .. %s",
				o.ClientId, in.Op, in.Key, in.Value, got.value, got.present, time.Duration(o.Call), end)
		}
		return b.String()
	}
	return "it is not linearizable"
}
