package network

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// way is how a cell's call is made and ended.
type way uint8

const (
	guarded  way = iota // through a resilient.Store, whose timeout ends it
	canceled            // of the backend itself; its caller cancels it
)

// cell is one call on one store during one fault.
type cell struct {
	site      *site
	fault     fault
	operation operation
	// warm says that the store has a connection that was in use just before, else
	// it has none.
	warm bool
	way  way

	truth store // where the cell's keys are, past the proxy
}

// found is what became of the call.
type found struct {
	err   error
	class resilient.Class // of the Store
	bare  resilient.Class // of the backend's Classify
	took  time.Duration
	// effect is what was applied when the call returned, and later in the end.
	effect, later effect
	again         int           // which call succeeded once the fault had passed; 0 = none did
	before        error         // that of the last that did not
	recovered     time.Duration // how long these calls took
	wrong         []string
}

func (f *found) lie(format string, args ...any) {
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
}

var cells atomic.Int64

// afterwards is how long the network has, once it is well, to bring what it has
// kept back.
const afterwards = time.Second

// retries is how many calls are made to see which succeeds.
const retries = 5

func (c cell) String() string {
	conn, way := "none", "Store"
	if c.warm {
		conn = "idle"
	}
	if c.way == canceled {
		way = "cancel"
	}
	return fmt.Sprintf("%s, %s, connection %s, %s, %s", c.site.name, c.fault.name, conn, c.operation.op, way)
}

// errBusy says that the machine was too busy for the cell to mean anything.
var errBusy = errors.New("the machine was too busy")

// fresh is how soon after its last use a connection counts as one that was in
// use just before. Drivers ask one that was idle for a second whether it lives.
const fresh = 500 * time.Millisecond

// store opens the store that the call is made on, and a Store on it, which
// closes it.
func (c cell) store(p *proxy, namespace string, timeout time.Duration) (store, *resilient.Store, error) {
	backend, err := c.site.through(p, namespace)
	if err != nil {
		return nil, nil, err
	}
	wrapped, err := guard(backend, timeout)
	return backend, wrapped, err
}

// enter returns the namespace of cell n, and opens c.truth on it.
func (c *cell) enter(n int64) (namespace string, leave func() error, err error) {
	c.truth = c.site.truth
	if !c.site.apart {
		return shared, func() error { return nil }, nil
	}
	namespace = fmt.Sprintf("turn%d.cell%d", n%atOnce, n)
	c.truth, err = c.site.open(c.site.url(c.site.server), namespace)
	if err != nil {
		return "", nil, err
	}
	return namespace, c.truth.Close, nil
}

// guard returns a Store that leaves every call to kv.
func guard(kv resilient.KVWithHealth, timeout time.Duration) (*resilient.Store, error) {
	return resilient.Wrap(kv, resilient.Config{
		Timeout: timeout, LongTimeout: timeout,
		Breaker: breaker.Config{Failures: -1, Fall: 1000}, // it would answer in the store's place
		Probe:   resilient.Probe{Interval: -1, Timeout: timeout},
	})
}

// run plays it all. An error is of the test, not of the store.
func (c cell) run(ctx context.Context) (f *found, err error) {
	p, err := newProxy(c.site.server.Addr())
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := c.fault.prepare(p); err != nil {
		return nil, err
	}
	if !c.warm { // before the first connection, which some make at once
		if err := c.fault.strike(p); err != nil {
			return nil, err
		}
	}
	n := cells.Add(1)
	namespace, leave, err := c.enter(n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, leave()) }()
	backend, wrapped, err := c.store(p, namespace, patience)
	if err != nil {
		return nil, err
	}
	defer func() {
		began := time.Now()
		err = errors.Join(err, wrapped.Close())
		if took := time.Since(began); took > slack && f != nil {
			f.lie("Close took %v", took)
		}
	}()
	prefix, spare := fmt.Sprintf("c%d/", n), fmt.Sprintf("s%d/", n)
	for _, key := range []string{prefix + there, spare + there} {
		if err := c.truth.SetRaw(ctx, key, value); err != nil {
			return nil, err
		}
	}
	if c.warm {
		if err := c.warmUp(ctx, backend, p, spare); err != nil {
			return nil, err
		}
	}
	f = &found{}
	c.call(ctx, f, wrapped, backend, prefix)
	if f.effect, err = c.operation.seen(ctx, c.truth, prefix); err != nil {
		return f, err
	}
	f.later = f.effect
	if err := errors.Join(c.await(ctx, f, prefix), c.fault.pass(p)); err != nil {
		return f, err
	}
	c.recover(ctx, f, backend, spare)
	if c.operation.op.Writes() {
		time.Sleep(afterwards)
		if err := c.await(ctx, f, prefix); err != nil {
			return f, err
		}
	}
	c.believe(f)
	return f, nil
}

// warmUp makes the same call at other keys, so that what a connection is told
// once has been told, and begins the fault.
func (c cell) warmUp(ctx context.Context, backend store, p *proxy, spare string) error {
	if err := c.calm(ctx, backend, spare); err != nil {
		return err
	}
	warmed := time.Now()
	if err := c.fault.strike(p); err != nil {
		return err
	}
	if time.Since(warmed) > fresh {
		return errBusy
	}
	return nil
}

// calm makes the call while the network is well.
func (c cell) calm(ctx context.Context, backend store, spare string) error {
	ctx, cancel := context.WithTimeout(ctx, comfort)
	defer cancel()
	return c.operation.call(ctx, backend, spare)
}

// recover makes calls until one succeeds.
func (c cell) recover(ctx context.Context, f *found, backend store, spare string) {
	if c.site.redials > 0 {
		time.Sleep(c.site.redials + c.fault.lingers)
	}
	began := time.Now()
	for n := 0; n < retries; {
		err := c.calm(ctx, backend, spare)
		if err == nil {
			f.again = n + 1
			break
		}
		f.before = err
		if c.site.redials > 0 && errors.Is(err, resilient.ErrRefused) && time.Since(began) < comfort {
			time.Sleep(10 * time.Millisecond) // it refuses at once until it has dialled again: that is no try
			continue
		}
		n++
	}
	f.recovered = time.Since(began)
	if f.again == 0 || f.again > 2 {
		f.lie("after the fault call %d succeeds (0 = none of %d): %v", f.again, retries, f.before)
	}
}

// call makes the one call of the cell.
func (c cell) call(ctx context.Context, f *found, wrapped *resilient.Store, backend store, prefix string) {
	s := calls(wrapped)
	if c.way == canceled {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(patience, cancel).Stop()
		s = backend
	}
	began := time.Now()
	f.err = c.operation.call(ctx, s, prefix)
	f.took = time.Since(began)
	f.bare, f.class = classOf(backend, f.err), classOf(wrapped, f.err)
	var untrue *lie
	if errors.As(f.err, &untrue) {
		f.lie("answered with what is not so: %v", f.err)
	}
	if errors.Is(f.err, resilient.ErrNotFound) {
		f.lie("a key that is there was not found: %v", f.err)
	}
	if f.took > patience+slack {
		f.lie("returned %v after its time was over", f.took-patience)
	}
}

// classOf is what err is to a Store that wraps s, which is one itself or a
// backend.
func classOf(s any, err error) resilient.Class {
	var told *resilient.Error
	if _, ok := s.(*resilient.Store); ok && errors.As(err, &told) {
		return told.Class
	}
	if known, ok := s.(resilient.Classifier); ok && err != nil {
		if class := known.Classify(err); class != resilient.OK {
			return class
		}
	}
	return resilient.DefaultClassify(err)
}

// await waits for what the network still brings of a call that has returned.
func (c cell) await(ctx context.Context, f *found, prefix string) error {
	for until := time.Now().Add(c.fault.holds + afterwards); ; time.Sleep(20 * time.Millisecond) {
		now, err := c.operation.seen(ctx, c.truth, prefix)
		f.later = max(f.later, now)
		if err != nil || f.later == all || c.fault.holds == 0 || f.err == nil || f.again > 0 || time.Now().After(until) {
			return err
		}
	}
}

// believe holds what the call was told against what was applied.
func (c cell) believe(f *found) {
	refused, ambiguous := errors.Is(f.err, resilient.ErrRefused), errors.Is(f.err, resilient.ErrAmbiguous)
	switch writes := c.operation.op.Writes(); {
	case f.err == nil && writes && f.effect != all:
		f.lie("acknowledged, and %v", f.effect)
	case f.err == nil:
	case !writes && !errors.Is(f.err, resilient.ErrUnavailable):
		f.lie("a read that fails must match ErrUnavailable: %v", f.err)
	case writes && refused == ambiguous:
		f.lie("a write that fails must match one of ErrRefused and ErrAmbiguous: %v", f.err)
	case writes && c.site.atomic && f.later == part:
		f.lie("a batch is atomic, and %v: %v", f.later, f.err)
	case writes && (refused || f.class == resilient.Refused || f.bare == resilient.Refused) && f.later != none:
		f.lie("refused, and %v: %v", f.later, f.err)
	}
	if f.err != nil && c.way == canceled && f.took >= patience && !errors.Is(f.err, context.Canceled) {
		f.lie("canceled, and the error does not say so: %v", f.err)
	}
}
