// Package guard is what every backend does around its driver: the gate that
// Close shuts, the context of a call, the checks of keys and batches, and the
// error that says what became of a call.
package guard
