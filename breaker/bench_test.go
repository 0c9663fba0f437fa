package breaker

import (
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"
)

// The cost of a guarded call that does nothing, beside that of gobreaker's own
// Execute in the same run.
func BenchmarkCall(b *testing.B) {
	nothing := func() (struct{}, error) { return struct{}{}, nil }
	theirs := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{})
	ours := mustNew(b, Config{})
	rated := mustNew(b, Config{Rate: 0.5})
	serial := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f()
				}
			})
		})
	}
	good := func(b *Breaker) func() {
		return func() {
			p, err := b.Allow()
			if err != nil {
				panic(err)
			}
			p.Done(Success, nil)
		}
	}
	serial("closed", good(ours))
	serial("closed-with-rate", good(rated))
	serial("gobreaker-execute", func() { _, _ = theirs.Execute(nothing) })

	open := mustNew(b, Config{OpenFor: time.Hour})
	if err := open.Force(Open, "benchmark"); err != nil {
		b.Fatal(err)
	}
	refused := 0
	serial("refusal", func() {
		if _, err := open.Allow(); err == nil {
			refused++
		}
	})
	if refused > 0 {
		b.Fatal("an open breaker let calls through")
	}
	tripped := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: time.Hour, ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = tripped.Execute(bookBad)
	serial("gobreaker-refusal", func() { _, _ = tripped.Execute(nothing) })
}
