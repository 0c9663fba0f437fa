package boltjournal

import (
	"errors"
	"runtime/debug"
)

// errPanic stands for a panic of bbolt. Its own text may hold keys.
var errPanic = errors.New("bbolt has panicked")

// shield calls fn, which may only call bbolt, and turns a panic into errPanic.
// bbolt's mapping makes a memory fault of a failing disk, or of a file that
// somebody has cut short; such a fault is a panic in fn as well.
func shield(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return fn()
}
