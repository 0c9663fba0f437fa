package kvotel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestASuccessfulCallAllocatesNothing(t *testing.T) {
	o, _ := newObserver(t)
	call := resilient.Event{Kind: resilient.KindCall, Store: "s", Op: resilient.OpGet, Attempt: 1}
	done := call
	done.Kind = resilient.KindDone
	ctx := context.Background()
	require.Zero(t, testing.AllocsPerRun(200, func() {
		o.Observe(ctx, call)
		o.Observe(ctx, done)
	}))
}

// BenchmarkObserve is the two events of a call.
func BenchmarkObserve(b *testing.B) {
	o, _ := newObserver(b)
	call := resilient.Event{Kind: resilient.KindCall, Store: "s", Op: resilient.OpGet, Attempt: 1}
	done := call
	done.Kind = resilient.KindDone
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		o.Observe(ctx, call)
		o.Observe(ctx, done)
	}
}
