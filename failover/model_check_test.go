package failover_test

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// modelRegister is what modelSpec says, in porcupine's words.
var modelRegister = porcupine.Model{
	Init: func() any { return uint8(oldValue) },
	Step: func(state, input, output any) (bool, any) {
		if op := input.(modelOp); op.write {
			return true, op.value
		}
		return output.(uint8) == state.(uint8), state
	},
}

// TestModelSpecAgreesWithPorcupine gives both the same short histories, right
// and wrong ones.
func TestModelSpecAgreesWithPorcupine(t *testing.T) {
	ops := modelOps("W1 W2 D R R R")
	verdicts := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			right := modelSpecAgrees(t, rapid.Permutation(ops).Draw(t, "ops")[:modelClients])
			verdicts[right]++
		}
	})
	require.NotZero(t, verdicts[true])
	require.NotZero(t, verdicts[false])
}

// modelSpecAgrees makes up one history, and reports whether it is right.
func modelSpecAgrees(t *rapid.T, order []modelOp) (right bool) {
	spec, told := newModelSpec(order), uint32(0)
	var history []porcupine.Operation
	begin, ended := [modelClients]int64{}, [modelClients]bool{}
	for now := int64(1); now < 20 && told != noWay; now++ {
		i := rapid.IntRange(0, modelClients-1).Draw(t, "client")
		switch {
		case ended[i]:
			continue
		case begin[i] == 0:
			begin[i] = now
			told = spec.hear(told, newsBegan, i, 0)
			continue
		}
		ended[i] = true
		news := rapid.SampledFrom([]modelNews{newsGot, newsGot, newsGot, newsGaveUp, newsDenied}).Draw(t, "news")
		value := rapid.SampledFrom([]uint8{oldValue, 1, 2, noValue}).Draw(t, "value")
		o := porcupine.Operation{ClientId: i, Input: order[i], Call: begin[i], Output: value, Return: now}
		switch {
		case news == newsGot:
			told = spec.hear(told, newsGot, i, value)
			history = append(history, o)
		case news == newsDenied && order[i].write:
			told = spec.hear(told, newsDenied, i, 0)
		case order[i].write: // it may yet take effect
			o.Return = math.MaxInt64
			history = append(history, o)
		default:
			told = spec.hear(told, newsGaveUp, i, 0)
		}
	}
	for i, o := range order {
		if o.write && begin[i] != 0 && !ended[i] {
			history = append(history, porcupine.Operation{ClientId: i, Input: o, Call: begin[i], Output: uint8(0), Return: math.MaxInt64})
		}
	}
	right = porcupine.CheckOperations(modelRegister, history)
	require.Equal(t, right, told != noWay, "%v", history)
	return right
}
