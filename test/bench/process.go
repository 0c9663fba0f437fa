package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// process lets a program use what is made for tests, such as the starters of
// servers. It has the methods that these call; any other one panics.
type process struct {
	testing.TB
	failed atomic.Bool

	mu       sync.Mutex // guards cleanups
	cleanups []func()
}

// asTest runs do as a test would be, and returns the program's exit code.
func asTest(do func(tb testing.TB)) int {
	p := &process{}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine, as in a test
		defer close(done)
		defer p.clean()
		do(p)
	}()
	<-done
	if p.failed.Load() {
		return 1
	}
	return 0
}

func (p *process) clean() {
	for {
		p.mu.Lock()
		todo := slices.Clone(p.cleanups)
		p.cleanups = nil
		p.mu.Unlock()
		if len(todo) == 0 {
			return
		}
		for _, do := range slices.Backward(todo) {
			do()
		}
	}
}

func (p *process) Helper() {}

func (p *process) Name() string { return "bench" }

func (p *process) Context() context.Context { return context.Background() }

func (p *process) Cleanup(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, do)
}

func (p *process) TempDir() string {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		p.Fatalf("bench: %v", err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *process) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	p.failed.Store(true)
}

func (p *process) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	runtime.Goexit()
}

// Skip is a failure: a page that lacks what could not be measured would be one
// that looks complete.
func (p *process) Skip(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }
