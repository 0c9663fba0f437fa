package kvtest

import (
	"errors"
	"fmt"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

func basicCases(h Harness) []testCase {
	cases := []testCase{
		{"SetGetRoundTrip", func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			s.holds("key", []byte("value"))
			require.Equal(e, []string{"key"}, s.list(""))
		}},
		{"SetOverwrites", func(e *env) {
			s := e.open()
			for _, value := range []string{"a long first value", "short", "", "longer again"} {
				s.set("key", []byte(value))
				s.holds("key", []byte(value))
			}
			require.Equal(e, []string{"key"}, s.list(""))
		}},
		{"GetMissing_ErrNotFound_NilValue", func(e *env) {
			s := e.open()
			s.lacks("missing")
			s.set("missing2", nil)
			s.lacks("missing")
		}},
		{"DeleteThenGet_ErrNotFound", func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			s.del("key")
			s.lacks("key")
		}},
		{"DeleteMissing_NoError", func(e *env) {
			s := e.open()
			s.del("missing")
			s.lacks("missing")
			require.Empty(e, s.list(""))
		}},
		{"DeleteTwice", func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			s.del("key")
			s.del("key")
			s.lacks("key")
		}},
		{"DeleteLeavesOthers", func(e *env) {
			s := e.open()
			for _, key := range []string{"a", "aa", "ab", "b"} {
				s.set(key, []byte(key))
			}
			s.del("a")
			require.Equal(e, []string{"aa", "ab", "b"}, s.list(""))
		}},
		{"SetAfterDelete", func(e *env) {
			s := e.open()
			s.set("key", []byte("old"))
			s.del("key")
			s.set("key", []byte("new"))
			s.holds("key", []byte("new"))
		}},
		{"TwoNamespacesIsolated", twoNamespaces},
	}
	cases = append(cases, when(h.Second != nil, testCase{"TwoClientsSeeEachOther", twoClients})...)
	return append(cases, when(h.Reopen != nil, testCase{"PersistsAcrossReopen", persists})...)
}

func twoNamespaces(e *env) {
	a, b := e.open(), e.open()
	a.set("key", []byte("a"))
	b.lacks("key")
	require.Empty(e, b.list(""))
	b.set("key", []byte("b"))
	b.set("more", nil)
	a.holds("key", []byte("a"))
	require.Equal(e, []string{"key"}, a.list(""))
	b.del("key")
	a.holds("key", []byte("a"))
}

func twoClients(e *env) {
	a := e.open()
	b := e.use(e.h.Second(e.TB))
	a.set("key", []byte("a"))
	b.holds("key", []byte("a"))
	b.set("key", []byte("b"))
	a.holds("key", []byte("b"))
	b.del("key")
	a.lacks("key")
	require.NoError(e, b.kv.Close())
	a.set("key", []byte("c"))
	a.holds("key", []byte("c"))
}

func persists(e *env) {
	s := e.open()
	want := make(map[string][]byte)
	for i := range 20 {
		key := fmt.Sprintf("key%02d", i)
		want[key] = noise(i, i*50)
		s.set(key, want[key])
	}
	s.set("gone", []byte("gone"))
	s.del("gone")
	for range 2 {
		s = e.reopen(s)
		for key, value := range want {
			s.holds(key, value)
		}
		s.lacks("gone")
		require.Len(e, s.list(""), len(want))
	}
}

func emptyKeyCases(can abilities) []testCase {
	refuses := func(name string, op resilient.Op) testCase {
		return testCase{name, func(e *env) {
			s := e.open()
			s.set("key", []byte("value"))
			for _, o := range s.operations() {
				if o.op == op {
					require.ErrorIs(e, o.run(e.Context(), "", []byte("value")), resilient.ErrEmptyKey)
				}
			}
			require.Equal(e, []string{"key"}, s.list(""))
		}}
	}
	cases := []testCase{
		refuses("Get_EmptyKey", resilient.OpGet),
		refuses("Set_EmptyKey", resilient.OpSet),
		refuses("Delete_EmptyKey", resilient.OpDelete),
	}
	return append(cases, when(can.batcher,
		testCase{"BatchGet_EmptyKeyInside", func(e *env) {
			s := e.open()
			s.set("a", []byte("value"))
			for _, keys := range [][]string{{""}, {"", "a"}, {"a", ""}, {"a", "", "b"}} {
				values, err := s.batch.BatchGetRaw(e.Context(), keys)
				require.ErrorIs(e, err, resilient.ErrEmptyKey, "%q", keys)
				require.Nil(e, values, "%q", keys)
			}
		}},
		testCase{"BatchSet_EmptyKeyInside_NothingApplied", func(e *env) {
			s := e.open()
			for range 20 { // maps are walked in another order each time
				err := s.batch.BatchSetRaw(e.Context(), map[string][]byte{"a": nil, "b": nil, "": nil, "c": nil, "d": nil})
				require.ErrorIs(e, err, resilient.ErrEmptyKey)
				require.Empty(e, s.list(""))
			}
		}},
		testCase{"BatchDelete_EmptyKeyInside_NothingDeleted", func(e *env) {
			s := e.open()
			s.set("a", nil)
			s.set("b", nil)
			for _, keys := range [][]string{{""}, {"", "a"}, {"a", ""}, {"a", "", "b"}} {
				require.ErrorIs(e, s.batch.BatchDelete(e.Context(), keys), resilient.ErrEmptyKey, "%q", keys)
				require.Equal(e, []string{"a", "b"}, s.list(""), "%q", keys)
			}
		}},
	)...)
}

func errorCases(can abilities) []testCase {
	return []testCase{
		{"NotFound_IsSentinel", func(e *env) {
			_, err := e.open().kv.GetRaw(e.Context(), "missing")
			require.ErrorIs(e, err, resilient.ErrNotFound)
			for _, other := range []error{resilient.ErrUnavailable, resilient.ErrClosed, resilient.ErrEmptyKey, resilient.ErrInvalidKey} {
				require.NotErrorIs(e, err, other)
			}
		}},
		{"NoSecretsInErrors", func(e *env) { noSecrets(e, can) }},
	}
}

// noSecrets provokes every error that needs no server and looks for the key and
// the value in its text.
func noSecrets(e *env, can abilities) {
	const key, value = "canary-key", "canary-value"
	s := e.open()
	var errs []error
	provoke := func(bad string, value []byte) {
		for _, o := range s.operations() {
			if err := o.run(e.Context(), bad, value); err != nil {
				errs = append(errs, err)
			}
		}
	}
	provoke(key, []byte(value))
	provoke(key+"\x00", []byte(value))
	provoke(key+"\xff", []byte(value))
	provoke(longKey(key, can.maxKey()+1), []byte(value))
	if max := can.limits.MaxValue; max > 0 && max <= largest {
		big := make([]byte, max+1)
		copy(big, value)
		provoke(key, big)
	}
	require.NoError(e, s.kv.Close())
	provoke(key, []byte(value))
	require.NotEmpty(e, errs)
	for _, err := range errs {
		for ; err != nil; err = errors.Unwrap(err) {
			require.NotContains(e, err.Error(), key, "%T", err)
			require.NotContains(e, err.Error(), value, "%T", err)
		}
	}
}
