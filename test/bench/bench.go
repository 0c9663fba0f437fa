package main

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// bench is one run of the program: how long things are measured, and what has
// been found.
type bench struct {
	tb    testing.TB
	quick bool
	began time.Time
	load  string // of the machine at the beginning

	rounds int           // of each comparison
	slice  time.Duration // that a way gets in each round

	idle storeCosts // measured before anything else runs

	text    document // of the sections
	targets []target
	plots   map[string]string // file name -> SVG
	costs   [][]string        // rows of the README's table
}

func newBench(tb testing.TB, quick bool) *bench {
	b := &bench{tb: tb, quick: quick, began: time.Now(), load: load(), rounds: 30, slice: 5 * time.Millisecond, plots: map[string]string{}}
	if quick {
		b.rounds, b.slice = 2, 200*time.Microsecond
	}
	return b
}

// pick returns full, or short in a quick run.
func pick[T any](b *bench, full, short T) T {
	if b.quick {
		return short
	}
	return full
}

// target is a line of the table of targets. A target that is missed is a line
// that says so, never a failure: machines differ.
type target struct {
	what, goal, measured string
	met                  bool
}

// check notes how a target was met.
func (b *bench) check(what, goal, measured string, met bool) {
	b.targets = append(b.targets, target{what, goal, measured, met})
}

// must ends the run with an error that is none of what is measured.
func (b *bench) must(err error) {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatalf("bench: %v", err)
	}
}

// closing closes something at the end of the run.
func (b *bench) closing(close func() error) {
	b.tb.Cleanup(func() {
		if err := close(); err != nil {
			b.tb.Errorf("bench: close: %v", err)
		}
	})
}

// way is one way to make the same call.
type way struct {
	name string
	call func(ctx context.Context) error
	// refused says that the call is one that fails.
	refused bool
}

// allocations returns how many objects a call of w allocates.
func (b *bench) allocations(w way) float64 {
	ctx := context.Background()
	return testing.AllocsPerRun(pick(b, 1000, 20), func() { _ = w.call(ctx) })
}

// heap returns the bytes that are in use on the heap and on stacks.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
