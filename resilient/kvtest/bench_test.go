package kvtest_test

import (
	"errors"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// BenchmarkMemory measures memkv.
func BenchmarkMemory(b *testing.B) {
	kvtest.RunBenchmarks(b, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(tb, err)
		return kv
	}})
}

// run is what benchmarks did.
type run struct {
	made           map[resilient.Op]int
	opened, closed int
	ok             bool // none failed
}

// benched runs all benchmarks once on stores that fail as spoil says.
func benched(t *testing.T, batches bool, spoil func(*kvtest.Fault)) run {
	t.Helper()
	old := flag.Lookup("test.benchtime").Value.String()
	require.NoError(t, flag.Set("test.benchtime", "1x"))
	defer func() { require.NoError(t, flag.Set("test.benchtime", old)) }()
	var stores []*kvtest.Fault
	r := run{made: map[resilient.Op]int{}}
	testing.Benchmark(func(b *testing.B) {
		kvtest.RunBenchmarks(b, kvtest.Harness{Open: func(tb testing.TB) resilient.KVWithHealth {
			kv, err := memkv.New(memkv.Config{})
			require.NoError(tb, err)
			fault := kvtest.NewFault(kv)
			stores = append(stores, fault)
			spoil(fault)
			if !batches {
				return single{fault}
			}
			return fault
		}})
		r.ok = !b.Failed()
	})
	r.opened = len(stores)
	for _, s := range stores {
		for op := resilient.OpGet; op <= resilient.OpHealth; op++ {
			r.made[op] += s.Count(op)
		}
		if errors.Is(s.Health(t.Context()), resilient.ErrClosed) {
			r.closed++
		}
	}
	return r
}

// single hides the batches of a Fault.
type single struct{ resilient.KVWithHealth }

func TestBenchmarksMakeEveryCallAndCloseEveryStore(t *testing.T) {
	for _, batches := range []bool{true, false} {
		r := benched(t, batches, func(*kvtest.Fault) {})
		require.True(t, r.ok)
		require.NotZero(t, r.opened)
		require.Equal(t, r.opened, r.closed)
		for op := resilient.OpGet; op <= resilient.OpHealth; op++ {
			isBatch := op == resilient.OpBatchGet || op == resilient.OpBatchSet || op == resilient.OpBatchDelete
			require.Equal(t, batches || !isBatch, r.made[op] > 0, "%s, batches: %v", op, batches)
		}
	}
}

func TestABenchmarkOfAStoreThatFailsFails(t *testing.T) {
	for name, spoil := range map[string]func(*kvtest.Fault){
		"reads":  func(f *kvtest.Fault) { f.FailReads(nil) },
		"writes": func(f *kvtest.Fault) { f.FailWrites(nil) },
		"health": func(f *kvtest.Fault) { f.Unhealthy(nil) },
	} {
		require.False(t, benched(t, true, spoil).ok, name)
	}
}
