package resilient

import (
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// closeGrace is how long Close waits for a health check to notice that its
// context has ended: as long as the contract gives any call.
const closeGrace = 500 * time.Millisecond

// Close stops asking for the store's health, closes the wrapped store, once,
// and returns what that returned; every caller gets the same. Calls that are
// under way end as the wrapped store's Close has it, and their results are
// returned; every later call returns ErrClosed. Close takes as long as the
// wrapped store's Close and a running Breaker.OnChange, and waits at most 500 ms
// for a health check and not at all for a call that ignore their contexts. Called
// from inside an OnChange while another Close is under way, which may be waiting
// for that, it returns nil at once.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return s.awaitClosed()
	}
	defer close(s.ended)
	s.closeErr = errExited
	close(s.closing)
	s.flight.shut()
	defer s.rest()
	s.closeErr = closeContained(s.kv)
	return s.closeErr
}

// awaitClosed waits for the Close that is under way, unless that may wait for
// the caller.
func (s *Store) awaitClosed() error {
	if breaker.InOnChange() {
		select {
		case <-s.ended:
		default:
			return nil
		}
	}
	<-s.ended
	return s.closeErr
}

// rest is what follows the wrapped store's Close, even one that ended its
// goroutine.
func (s *Store) rest() {
	if s.prober != nil {
		<-s.prober.ended
	}
	s.flight.wait(closeGrace)
	s.breaker.Close()
}

// closeContained closes kv and turns a panic of its Close into an error.
func closeContained(kv KV) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v}
		}
	}()
	return kv.Close()
}
