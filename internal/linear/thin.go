package linear

import (
	"slices"

	"github.com/anishathalye/porcupine"
)

// thin leaves out calls of one key that another one answers for, which changes no
// verdict. While a server is frozen its clients pile up on a few keys, and the
// time to check calls that all overlap doubles with each of them. ops are in
// order, and no crash is among them.
//
//   - A read may come right after a write of what it saw, or after a read that
//     saw the same, if that lies within it.
//   - A write that nobody can have seen may come right before another write that
//     lies within it.
func thin(ops []porcupine.Operation) []porcupine.Operation {
	c := cluesOf(ops)
	var kept []porcupine.Operation
	for i, o := range ops {
		if !slices.ContainsFunc(within(ops, i), func(x porcupine.Operation) bool { return c.answers(x, o) }) {
			kept = append(kept, o)
		}
	}
	return kept
}

// within returns operations among which are all that lie within ops[i]. Of two
// that are as long, the second lies within the first.
func within(ops []porcupine.Operation, i int) []porcupine.Operation {
	o, n := ops[i], i+1
	for n < len(ops) && ops[n].Call <= o.Return {
		n++
	}
	return ops[i+1 : n]
}

// answers reports whether x lies within o, and o is right if x is.
func (c clues) answers(x, o porcupine.Operation) bool {
	if x.Return > o.Return {
		return false
	}
	in, got := o.Input.(In), o.Output.(out)
	by, told := x.Input.(In), x.Output.(out)
	change := by.Op == Write || by.Op == Delete
	switch {
	case in.Op == Delete:
		return false
	case in.Op == Write:
		_, seen := c.seen[in]
		return change && !seen && !c.listed[in.Key]
	case !got.present:
		return by.Op == Delete || !change && !told.present
	case in.Op == Listed:
		return by.Op == Write || told.present
	case by.Op == Write:
		return by.Value == got.value
	}
	return by.Op == Read && told.present && told.value == got.value
}
