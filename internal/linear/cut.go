package linear

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"
)

// pieceOps is how many operations a piece has at least: a piece costs a
// goroutine, and the time to check one grows faster than its length.
const pieceOps = 64

// pieces cuts the history of one key where a call overlaps no other and leaves
// no doubt what the key held after it. The whole is right if each piece is: one
// of at least that many operations ends with such a call, and the next begins
// with a write of what it told.
func pieces(ops []porcupine.Operation, least int) (all [][]porcupine.Operation) {
	ops = slices.Clone(ops)
	inOrder(ops)
	crashes := slices.ContainsFunc(ops, func(o porcupine.Operation) bool { return o.Input.(In).Op == crash })
	if !crashes {
		ops = thin(ops)
	}
	var piece []porcupine.Operation
	latest := int64(math.MinInt64) // return of the operations so far
	for i, o := range ops {
		piece = append(piece, o)
		alone := latest < o.Call && (i+1 == len(ops) || o.Return < ops[i+1].Call)
		latest = max(latest, o.Return)
		if write, ok := settled(o, crashes); ok && alone && len(piece) >= least {
			all, piece = append(all, piece), []porcupine.Operation{write}
		}
	}
	return append(all, piece)
}

// inOrder sorts ops by Call, and of those that began at once the longest first.
func inOrder(ops []porcupine.Operation) {
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int {
		return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(b.Return, a.Return))
	})
}

// settled returns o as a write of what the key holds after it; !ok if o does not
// say that: after a crash the members of a mirror may differ until a write.
func settled(o porcupine.Operation, crashes bool) (write porcupine.Operation, ok bool) {
	in, got := o.Input.(In), o.Output.(out)
	switch {
	case in.Op == Write || in.Op == Delete:
		return o, true
	case crashes || in.Op == crash:
		return o, false
	case !got.present:
		o.Input, o.Output = In{Op: Delete, Key: in.Key}, out{}
		return o, true
	case in.Op == Read:
		o.Input, o.Output = In{Op: Write, Key: in.Key, Value: got.value}, out{}
		return o, true
	}
	return o, false
}

// clues are what the calls say of each other. A value is written once.
type clues struct {
	began  map[In]int64     // by write: when it began
	seen   map[In]int64     // by write: when the first read that saw its value returned
	absent map[string]int64 // by key: when the last read that found nothing returned
	listed map[string]bool  // by key: a List may have seen it without seeing its value
}

func cluesOf(ops []porcupine.Operation) clues {
	c := clues{map[In]int64{}, map[In]int64{}, map[string]int64{}, map[string]bool{}}
	for _, o := range ops {
		in, got := o.Input.(In), o.Output.(out)
		switch in.Op {
		case Write:
			c.began[in] = o.Call
			continue
		case Listed:
			c.listed[in.Key] = true
		case Read:
		default:
			continue
		}
		if !got.present {
			c.absent[in.Key] = max(c.absent[in.Key], o.Return)
		} else if w := (In{Write, in.Key, got.value}); in.Op == Read && o.Return < c.sawFirst(w) {
			c.seen[w] = o.Return
		}
	}
	return c
}

// sawFirst returns when the first read that saw what w wrote returned.
func (c clues) sawFirst(w In) int64 {
	if at, ok := c.seen[w]; ok {
		return at
	}
	return math.MaxInt64
}

// narrow makes calls as short as other calls say that they were, which is cheap
// to check and changes no verdict:
//   - A write took effect before the first read that saw it returned.
//   - A read took effect after the write that it saw began.
//   - A write without an answer whose effect nobody can have seen may be taken to
//     have come last, and is left out.
//
// In a loose history only writes without an answer are narrowed: a read may see
// what a crash has left of any other.
func narrow(ops []porcupine.Operation, loose bool) (kept []porcupine.Operation) {
	c := cluesOf(ops)
	for _, o := range ops {
		in, got := o.Input.(In), o.Output.(out)
		switch {
		case in.Op == Write:
			seen := c.sawFirst(in)
			if got.unsure && seen == math.MaxInt64 && !c.listed[in.Key] {
				continue
			}
			if got.unsure || !loose {
				o.Return = max(o.Call, min(o.Return, seen))
			}
		case in.Op == Delete && got.unsure && c.absent[in.Key] < o.Call:
			continue
		case in.Op == Read && got.present && !loose:
			o.Call = min(o.Return, max(o.Call, c.began[In{Write, in.Key, got.value}]))
		}
		kept = append(kept, o)
	}
	return kept
}
