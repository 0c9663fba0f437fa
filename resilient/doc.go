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
// A service that should refuse a call at once, and not wait for a store that is
// away, puts its store into one:
//
//	kv, err := boltkv.Open("users.db", boltkv.Config{})
//	...
//	users, err := resilient.Wrap(kv, resilient.Config{}) // the zero Config works
//	...
//	defer users.Close() // closes kv too
//	value, err := users.GetRaw(ctx, "ada")
//	if errors.Is(err, resilient.ErrUnavailable) {
//		// the store is away, and was not waited for
//	}
//
// CheckHealth, Watch and Group ask stores for their health and guard nothing.
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
// A store that was not written for Holdfast has errors of its own. Tell
// Config.Classify which are misses (NotFoundIs), and which mean that the call was
// wrong (Invalid): what is not known is Failed, and opens the breaker in the end.
//
// # Time
//
// The package uses package time directly, monotonic, and works in a
// testing/synctest bubble as it is.
package resilient
