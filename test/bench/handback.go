package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
)

// handBacks measures how fast a member gets what it is owed.
func handBacks(b *bench) {
	n := pick(b, 100_000, 100)
	b.text.heading("Hand-back")
	b.text.write(fmt.Sprintf("A member that was drained gets the %s keys that it is owed, with values of %d bytes, through Release and Flush.", thousands(float64(n)), valueSize))
	var rows [][]string
	for _, kind := range []struct {
		name string
		open func() (resilient.KVWithHealth, error)
	}{
		{"bolt", func() (resilient.KVWithHealth, error) {
			return boltkv.Open(filepath.Join(b.tb.TempDir(), "bolt.db"), boltkv.Config{NoSync: true})
		}},
		{"badger", func() (resilient.KVWithHealth, error) {
			return badgerkv.Open(b.tb.TempDir(), badgerkv.Config{NoSync: true})
		}},
	} {
		var rate series
		for range pick(b, 5, 1) {
			owing, err := kind.open()
			b.must(err)
			rate = append(rate, b.handBack(owing, n))
		}
		what := "hand-back to " + kind.name + " with NoSync"
		b.check(what, ">= 20,000 keys a second", thousands(rate.median())+" keys a second", rate.median() >= 20_000)
		rows = append(rows, []string{kind.name + ", NoSync", perSecond(rate)})
	}
	b.text.table([]string{"to", "keys (quartiles)"}, rows)
}

// handBack returns how many keys a second a member gets that was away for n of
// them.
func (b *bench) handBack(owing resilient.KVWithHealth, n int) float64 {
	b.tb.Helper()
	first, err := memkv.New(memkv.Config{})
	b.must(err)
	kv, err := failover.New(mirror(resilient.Config{}), first, owing)
	b.must(err)
	name := kv.Status().Members[1].Name
	b.must(kv.Drain(name))
	b.owe(kv, n)
	if owed := kv.Owed()[name]; owed != n {
		b.tb.Fatalf("bench: %d keys are owed, not %d", owed, n)
	}
	began := time.Now()
	b.must(kv.Release(name))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b.must(kv.Flush(ctx))
	took := time.Since(began)
	b.must(kv.Close())
	return float64(n) / took.Seconds()
}
