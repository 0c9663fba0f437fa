package kvstatus

import (
	"context"
	"testing"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

func callOf(group string) resilient.Event {
	return resilient.Event{Kind: resilient.KindCall, Group: group, Store: "bolt", Op: resilient.OpGet, Time: time.Now(), Duration: 1500, Attempt: 1}
}

// BenchmarkObserve measures both events of one call of a group.
func BenchmarkObserve(b *testing.B) {
	for name, parallel := range map[string]bool{"serial": false, "parallel": true} {
		b.Run(name, func(b *testing.B) {
			p := New(Config{})
			call, ctx := callOf("orders"), context.Background()
			done := call
			done.Kind = resilient.KindDone
			b.ReportAllocs()
			if !parallel {
				for b.Loop() {
					p.Observe(ctx, call)
					p.Observe(ctx, done)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Observe(ctx, call)
					p.Observe(ctx, done)
				}
			})
		})
	}
}

// BenchmarkPage measures the drawing of a page with two full histories.
func BenchmarkPage(b *testing.B) {
	p := New(Config{})
	now := fill(p)
	readings := []reading{{Status: groupStatus(now), known: true, ever: true}}
	b.ReportAllocs()
	for b.Loop() {
		draw(p.view(readings, now))
	}
}
