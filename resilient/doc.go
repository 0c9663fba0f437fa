// Package resilient guards key-value stores. Wrap takes any store that can be
// asked for its health and returns a Store, which answers every call through
//
//	retry( tell( breaker( timeout( call ))))
//
// and in the background asks for the store's health:
//
//	        caller
//	          |  KV, KVWithHealth, Batcher
//	    +-----v------+      +-------------+
//	    |   Store    |<-----|   prober    |  one goroutine
//	    |    do      |      +------+------+
//	    +-----+------+             | Health
//	calls     |   breaker.Breaker  |
//	    +-----v--------------------v------+
//	    |       the wrapped store         |
//	    +---------------------------------+
//
// The package is also the vocabulary that the rest of Holdfast shares: KV and
// its optional capabilities, errors and their classes, events, status. A
// *Store is a KVWithHealth, so Stores nest, and package failover makes one
// store out of several.
//
// # What becomes of a call
//
// An answer is an answer: a miss, ErrNotFound, is no failure. Else errors.Is
// says what a caller must know. ErrUnavailable: the store could not serve.
// ErrRefused: and certainly nothing was applied. ErrAmbiguous: the write may
// have been applied. ErrClosed: after Close. A ctx that ended before anything
// was sent is returned as it is; a write that was under way when its ctx ended
// matches both ctx.Err() and ErrAmbiguous. errors.As with *Error has the rest.
//
// Whose deadline ended decides, not the error: Config.Timeout is the store's
// failure, the caller's own deadline says nothing about the store.
//
// # Stores that misbehave
//
// A panic of the wrapped store is a failed call, an answer of nil where there
// should be an empty one is made empty, lists are sorted and filtered, a batch
// of a store that has none is served key by key. A store that ignores its ctx
// is put into Detach first, one without a Health into NoHealth.
//
// # Time
//
// The package uses package time directly, monotonic, and works in a
// testing/synctest bubble as it is.
package resilient
