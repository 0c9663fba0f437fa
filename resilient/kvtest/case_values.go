package kvtest

import (
	"bytes"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

const (
	floor   = 512 << 10 // the value that every store takes
	largest = 16 << 20  // limits above this are not tried
)

func valueCases(can abilities) []testCase {
	cases := []testCase{
		{"Empty_IsNonNil", func(e *env) {
			s := e.open()
			s.set("key", []byte{})
			s.holds("key", nil)
		}},
		{"Nil_ReadsAsEmpty", func(e *env) {
			s := e.open()
			s.set("key", []byte("old"))
			s.set("key", nil)
			s.holds("key", nil)
		}},
		{"EmptyVsMissingDistinguishable", func(e *env) {
			s := e.open()
			s.set("empty", nil)
			s.holds("empty", nil)
			s.lacks("missing")
			require.Equal(e, []string{"empty"}, s.list(""))
		}},
		{"AllByteValues0to255", func(e *env) {
			s := e.open()
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			s.set("all", all)
			s.holds("all", all)
			for i := range all {
				s.set("one", all[i:i+1])
				s.holds("one", all[i:i+1])
			}
		}},
		{"ValueWithNUL", func(e *env) {
			s := e.open()
			for _, value := range []string{"\x00", "a\x00b", "\x00\x00a", "a\x00"} {
				s.set("key", []byte(value))
				s.holds("key", []byte(value))
			}
		}},
		{"Large_512KiB_OK", func(e *env) {
			s := e.open()
			for _, value := range [][]byte{bytes.Repeat([]byte("a"), floor), noise(1, floor)} {
				s.set("key", value)
				s.holds("key", value)
			}
		}},
		{"IncompressibleMiB", func(e *env) {
			n := 1 << 20
			if can.limits.MaxValue > 0 {
				n = min(n, can.limits.MaxValue)
			}
			s := e.open()
			s.set("key", noise(2, n))
			s.holds("key", noise(2, n))
		}},
	}
	cases = append(cases, when(can.batcher, testCase{"BatchGet_EmptyValuePresentNonNil", func(e *env) {
		s := e.open()
		s.batchSet(map[string][]byte{"nil": nil, "empty": {}, "full": []byte("full")})
		require.Equal(e, map[string][]byte{"nil": {}, "empty": {}, "full": []byte("full")},
			s.batchGet("nil", "empty", "full", "missing"))
	}})...)
	max := can.limits.MaxValue
	if max <= 0 || max > largest {
		return cases
	}
	cases = append(cases,
		testCase{"AtMaxValue_OK", func(e *env) {
			s := e.open()
			value := noise(3, max)
			s.set("key", value)
			s.holds("key", value)
		}},
		testCase{"OverMaxValue_ErrValueTooLarge_OldValueKept", func(e *env) {
			s := e.open()
			s.set("key", []byte("old"))
			require.ErrorIs(e, s.kv.SetRaw(e.Context(), "key", make([]byte, max+1)), resilient.ErrValueTooLarge)
			require.ErrorIs(e, s.kv.SetRaw(e.Context(), "new", make([]byte, max+1)), resilient.ErrValueTooLarge)
			s.holds("key", []byte("old"))
			require.Equal(e, []string{"key"}, s.list(""))
		}})
	return append(cases, when(can.batcher, testCase{"BatchSet_OverMaxValueInside_NothingApplied", func(e *env) {
		s := e.open()
		s.set("b", []byte("old"))
		batch := map[string][]byte{"a": nil, "b": make([]byte, max+1), "c": nil}
		require.ErrorIs(e, s.batch.BatchSetRaw(e.Context(), batch), resilient.ErrValueTooLarge)
		s.holds("b", []byte("old"))
		require.Equal(e, []string{"b"}, s.list(""))
	}})...)
}
