package boltjournal

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/failover"
)

// BenchmarkPut puts records of 100 bytes, over 1,000 keys.
func BenchmarkPut(b *testing.B) {
	for _, c := range []struct {
		name    string
		writers int
		cfg     Config
	}{
		{"writers=1", 1, Config{}},
		{"writers=64", 64, Config{}},
		{"writers=1/nosync", 1, Config{NoSync: true}},
		{"writers=64/nosync", 64, Config{NoSync: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			j, _ := open(b, newPath(b), c.cfg)
			value := string(make([]byte, 100))
			before := commits(b, j)
			var n atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range c.writers {
				all.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						if err := j.Put(set(fmt.Sprint("key ", i%1000), value, uint64(i))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(commits(b, j)-before)/float64(b.N), "commits/put")
		})
	}
}

// BenchmarkOpen opens a journal of 100,000 records of 1 KiB: it reads and
// checks all of them and writes them anew. It also measures what the journal
// itself keeps in memory of a record, keys and values not counted.
func BenchmarkOpen(b *testing.B) {
	const records, size = 100_000, 1 << 10
	j, _ := open(b, newPath(b), Config{})
	for at := 0; at < records; at += 1000 {
		recs := make([]failover.Record, 1000)
		for i := range recs {
			recs[i] = set(fmt.Sprintf("key %08d", at+i), string(make([]byte, size)), 1)
		}
		require.NoError(b, j.Put(recs...))
	}
	require.NoError(b, j.Close(true))
	b.SetBytes(records * size)
	kept := 0.0
	for b.Loop() {
		before := heap()
		j, left := open(b, j.path, Config{})
		require.Len(b, left.Records, records)
		left = failover.Recovery{}
		_, bytes := j.Size()
		kept = (float64(heap()) - float64(before) - float64(bytes)) / records
		require.NoError(b, j.Close(true))
	}
	b.ReportMetric(kept, "B-kept/record")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
