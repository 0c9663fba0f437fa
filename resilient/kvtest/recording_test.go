package kvtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Failures of the model are wanted here: no files of them, no long search for
	// the shortest.
	flag.Parse()
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "100ms"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// recording is a testing.TB that notes that a case failed and lets the test that
// runs it go on.
type recording struct {
	testing.TB
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	failed   bool
	text     strings.Builder
	cleanups []func()
}

// record runs fn to its end, clean-up included, and returns what it failed with,
// "" if it passed.
func record(t *testing.T, fn func(tb testing.TB)) string {
	t.Helper()
	r := &recording{TB: t}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanup()
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		fn(r)
	}()
	<-done
	if r.failed && r.text.Len() == 0 {
		return "failed without a word"
	}
	if !r.failed {
		return ""
	}
	return r.text.String()
}

func (r *recording) cleanup() {
	r.cancel()
	for len(r.cleanups) > 0 {
		last := r.cleanups[len(r.cleanups)-1]
		r.cleanups = r.cleanups[:len(r.cleanups)-1]
		last()
	}
}

func (r *recording) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	r.text.WriteString(text + "\n")
}

func (r *recording) Context() context.Context          { return r.ctx }
func (r *recording) Cleanup(fn func())                 { r.cleanups = append(r.cleanups, fn) }
func (r *recording) Helper()                           {}
func (r *recording) Log(...any)                        {}
func (r *recording) Logf(string, ...any)               {}
func (r *recording) Fail()                             { r.note("") }
func (r *recording) FailNow()                          { r.note(""); runtime.Goexit() }
func (r *recording) Error(args ...any)                 { r.note(fmt.Sprint(args...)) }
func (r *recording) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }
func (r *recording) Fatal(args ...any)                 { r.note(fmt.Sprint(args...)); runtime.Goexit() }
func (r *recording) Fatalf(format string, args ...any) {
	r.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (r *recording) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// runCase runs the case of that path, "Group/Case", on h and returns what it
// failed with.
func runCase(t *testing.T, h Harness, path string) string {
	t.Helper()
	name, inner, _ := strings.Cut(path, "/")
	for _, g := range suite(t, h) {
		for _, c := range g.cases {
			if g.name == name && c.name == inner {
				return record(t, func(tb testing.TB) { c.run(impatient(tb, h)) })
			}
		}
	}
	require.FailNow(t, "the suite has no case "+path)
	return ""
}

// impatient returns an env that gives up soon: what hangs here hangs for good.
func impatient(tb testing.TB, h Harness) *env {
	e := newEnv(tb, h, true)
	e.patience = 500 * time.Millisecond
	return e
}
