package embedded

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/holdfastkv/holdfast/resilient"
)

// Shield calls fn, which may only call a driver, and turns a panic of it into
// an error that matches resilient.ErrUnavailable. Both drivers read their files
// through mmap, where a device error or a file cut short arrives as a memory
// fault; inside Shield such a fault on fn's goroutine is a panic as well, so
// that a dying disk does not take the process with it.
//
// The panic's own text is left out: drivers print keys in theirs.
func Shield(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{value: p}
		}
	}()
	return fn()
}

// Panic is what Shield made of a panic. It matches resilient.ErrUnavailable.
type Panic struct{ value any }

// Error names the kind of the panic, without its text.
func (p *Panic) Error() string {
	if _, ok := p.value.(interface{ Addr() uintptr }); ok {
		return "memory fault while reading the file"
	}
	if _, ok := p.value.(runtime.Error); ok {
		return "runtime error in the driver"
	}
	return fmt.Sprintf("panic in the driver (%T)", p.value)
}

// Value returns what was panicked with.
func (p *Panic) Value() any { return p.value }

// Unwrap makes p match resilient.ErrUnavailable.
func (p *Panic) Unwrap() error { return resilient.ErrUnavailable }
