package linear

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// played is a history of one key that clients might have seen of a register, one
// call each gap: calls that overlap, answers that were lost.
func played(rng *rand.Rand, n int, gap int64, lists bool) (ops []porcupine.Operation) {
	var now state
	for i := range n {
		at := gap * int64(i+1) // when it takes effect
		o := porcupine.Operation{Call: at - rng.Int64N(30), Return: at + rng.Int64N(30)}
		switch p := rng.IntN(10); {
		case p < 4:
			now = state{value: fmt.Sprint(i), present: true}
			o.Input, o.Output = In{Write, "k", now.value}, out{unsure: rng.IntN(4) == 0}
		case p < 6:
			now = state{}
			o.Input, o.Output = In{Op: Delete, Key: "k"}, out{unsure: rng.IntN(4) == 0}
		case p < 7 && lists:
			o.Input, o.Output = In{Op: Listed, Key: "k"}, out{present: now.present}
		default:
			o.Input, o.Output = In{Op: Read, Key: "k"}, out{value: now.value, present: now.present}
		}
		if o.Output.(out).unsure {
			o.Return = math.MaxInt64
		}
		ops = append(ops, o)
	}
	return ops
}

// falsify makes one call, if it is a read, tell what another call told.
func falsify(rng *rand.Rand, ops []porcupine.Operation) {
	n := len(ops)
	if i := rng.IntN(n); ops[i].Input.(In).Op == Read {
		ops[i].Output = ops[rng.IntN(n)].Output
	}
}

// whole checks the calls of one key as they are.
func whole(ops []porcupine.Operation) bool {
	one := register
	one.Partition = nil
	return porcupine.CheckOperations(one, ops)
}

// TestCutAndNarrowedHistoriesKeepTheirVerdict compares 20,000 short histories, a
// good part of which is wrong.
func TestCutAndNarrowedHistoriesKeepTheirVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	wrong, cuts, shorter, thinner := 0, 0, 0, 0
	for range 20_000 {
		ops := played(rng, 4+rng.IntN(12), 5+rng.Int64N(30), rng.IntN(2) == 0)
		falsify(rng, ops)
		want := whole(ops)
		narrowed := narrow(ops, false)
		require.Equal(t, want, whole(narrowed), "narrowed: %v", ops)
		inOrder(narrowed)
		thinned := thin(narrowed)
		require.Equal(t, want, whole(thinned), "thinned: %v", ops)
		right := true
		all := pieces(narrowed, 1)
		for _, piece := range all {
			right = right && whole(piece)
		}
		require.Equal(t, want, right, "cut: %v", ops)
		if !want {
			wrong++
		}
		if len(narrowed) < len(ops) {
			shorter++
		}
		if len(thinned) < len(narrowed) {
			thinner++
		}
		cuts += len(all) - 1
	}
	require.Greater(t, wrong, 300)
	require.Greater(t, cuts, 10_000)
	require.Greater(t, shorter, 1000)
	require.Greater(t, thinner, 1000)
}

// A minute of chaos leaves a key some thousands of calls. While a server is
// frozen several of its clients wait, and take their turns when it wakes.
func TestALongHistoryOfOneKeyIsChecked(t *testing.T) {
	const waiting, every = 24, 500
	rng := rand.New(rand.NewPCG(3, 4))
	h := New()
	for i, o := range played(rng, 10_000, 40, false) {
		if o.Input.(In).Op == Delete {
			o.Output, o.Return = out{}, o.Call+30
		}
		if n := int64(i % every); n < waiting {
			o.Call -= 40*n + rng.Int64N(100)
		}
		h.ops = append(h.ops, o)
	}
	require.Empty(t, h.Check())
	h.Final("k", "never written", true, h.ops[len(h.ops)-1].Call+100)
	require.Contains(t, h.Check(), "never written")
}
