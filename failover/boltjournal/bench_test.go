package boltjournal

import (
	"fmt"
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
// checks all of them and writes them anew.
func BenchmarkOpen(b *testing.B) {
	j, _ := open(b, newPath(b), Config{})
	for i := range 100 {
		recs := make([]failover.Record, 1000)
		for k := range recs {
			recs[k] = set(fmt.Sprint("key ", i*1000+k), string(make([]byte, 1<<10)), 1)
		}
		require.NoError(b, j.Put(recs...))
	}
	require.NoError(b, j.Close(true))
	for b.Loop() {
		j, left := open(b, j.path, Config{})
		require.Len(b, left.Records, 100_000)
		require.NoError(b, j.Close(true))
	}
}
