package kvtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// Fault is a store that fails on command: a decorator to test what stands
// above a store. With no fault set every call goes straight through.
//
// Faults add up. A call meets them in this order: PanicNext and GoexitNext,
// Down, Hang or HangIgnoringContext, Latency, FailReads or FailWrites, the
// wrapped store, AckLost. It meets those that were set when it came in; one
// that is inside already goes on as it was, but Up and Close wake it. Calls that
// the contract settles without any I/O meet no fault: an ended ctx, a key that
// CheckKey refuses, an empty batch.
//
// Close closes the wrapped store, wakes everything and applies nothing more;
// every call that it wakes returns ErrClosed.
//
// All methods may be called at any time from any goroutine. Fault starts no
// goroutine unless LateBy is used and waits on channels and timers only, never
// under a lock: it works in a testing/synctest bubble if it is made in there.
type Fault struct {
	kv      resilient.KVWithHealth
	batcher resilient.Batcher // nil: batches are served key by key
	counts  [resilient.OpHealth + 1]atomic.Int64
	hanging atomic.Int64

	closing  chan struct{} // closed when Close begins
	closed   chan struct{} // closed when it has ended; closeErr is set by then
	closeErr error
	landing  sync.WaitGroup // what LateBy has under way

	mu   sync.Mutex // guards what follows; never held while anything waits or the store is called
	set  faults
	late []*call
	done bool // Close has begun
}

// faults are those that are set between two calls of Up.
type faults struct {
	wake      *wake
	down      bool
	hang      hang
	latency   time.Duration
	reads     error // nil: they work
	writes    error
	health    error
	lie       bool
	ackLost   int
	panics    int
	goexits   int
	applyLate bool
	lateBy    time.Duration
}

// wake is how Up reaches the calls that came in before it.
type wake struct {
	up        chan struct{} // closed by Up
	applyLate bool          // as it was at that time; read it only once up is closed
}

func newWake() *wake { return &wake{up: make(chan struct{})} }

type hang uint8

const (
	hangNot hang = iota
	hangUntilDone
	hangWhatever
)

var (
	_ resilient.KVWithHealth = (*Fault)(nil)
	_ resilient.Batcher      = (*Fault)(nil)
	_ resilient.Classifier   = (*Fault)(nil)
	_ resilient.Limited      = (*Fault)(nil)
)

// injected is an error of our own making.
type injected struct {
	text  string
	class resilient.Class
	match error
}

func (e *injected) Error() string { return e.text }
func (e *injected) Unwrap() error { return e.match }

var (
	errDown    error = &injected{"kvtest: the store is down", resilient.Refused, resilient.ErrRefused}
	errReads   error = &injected{"kvtest: reads fail", resilient.Refused, resilient.ErrRefused}
	errWrites  error = &injected{"kvtest: writes fail", resilient.Refused, resilient.ErrRefused}
	errHealth  error = &injected{"kvtest: unhealthy", resilient.Refused, resilient.ErrRefused}
	errAckLost error = &injected{"kvtest: the answer was lost", resilient.Failed, resilient.ErrAmbiguous}

	errCloseEnded = errors.New("kvtest: the Close of the store panicked, or ended its goroutine")
)

// NewFault returns kv with no fault set. It serves batches natively if kv is a
// Batcher, else key by key in ascending order. It owns kv.
func NewFault(kv resilient.KVWithHealth) *Fault {
	f := &Fault{kv: kv, closing: make(chan struct{}), closed: make(chan struct{}), set: faults{wake: newWake()}}
	f.batcher, _ = kv.(resilient.Batcher)
	return f
}

// Down makes calls and Health fail at once with an error that matches
// ErrRefused; nothing is applied. What is inside already goes on.
func (f *Fault) Down() { f.change(func(s *faults) { s.down = true }) }

// Up clears every fault and wakes what hangs or waits: a call whose ctx goes on
// is then served like any other, one whose ctx has ended returns ctx.Err() with
// nothing applied. Writes that ApplyLate kept are applied, in the order in which
// their callers left, before Up returns or, with LateBy, after that delay; what
// the store answers to them is dropped. Counters stay.
func (f *Fault) Up() {
	f.mu.Lock()
	old, late := f.set, f.late
	f.set, f.late = faults{wake: newWake()}, nil
	old.wake.applyLate = old.applyLate
	close(old.wake.up)
	wait := old.lateBy > 0 && len(late) > 0 && !f.done
	if wait {
		f.landing.Add(1)
	}
	f.mu.Unlock()

	if wait {
		go f.landAfter(old.lateBy, late)
		return
	}
	f.land(late)
}

// Hang makes calls and Health block until their ctx ends, which gives ctx.Err(),
// or until Up or Close. Nothing is applied before that, and nothing at all for a
// ctx that ended, unless ApplyLate is on.
func (f *Fault) Hang() { f.change(func(s *faults) { s.hang = hangUntilDone }) }

// HangIgnoringContext makes calls and Health block until Up or Close, whatever
// their ctx does. A call whose ctx ended meanwhile then returns ctx.Err() with
// nothing applied; with ApplyLate on, a write is applied first.
func (f *Fault) HangIgnoringContext() { f.change(func(s *faults) { s.hang = hangWhatever }) }

// Latency makes calls and Health wait for d before anything else happens. A ctx
// that ends during that time gives ctx.Err() with nothing applied; Up ends the
// wait. 0 turns it off.
func (f *Fault) Latency(d time.Duration) { f.change(func(s *faults) { s.latency = d }) }

// FailWrites makes SetRaw, Delete, BatchSetRaw and BatchDelete fail with err
// while reads and Health work. Nothing is applied, whatever err claims. A nil err
// stands for one that matches ErrRefused.
func (f *Fault) FailWrites(err error) {
	f.change(func(s *faults) { s.writes = orElse(err, errWrites) })
}

// FailReads makes GetRaw, List and BatchGetRaw fail with err while writes and
// Health work. A nil err stands for one that matches ErrRefused.
func (f *Fault) FailReads(err error) { f.change(func(s *faults) { s.reads = orElse(err, errReads) }) }

// Unhealthy makes Health fail with err while calls work. A nil err stands for
// one that matches ErrRefused.
func (f *Fault) Unhealthy(err error) { f.change(func(s *faults) { s.health = orElse(err, errHealth) }) }

// LieHealthy makes Health answer nil at once whatever else is set: the store
// whose check works and whose calls do not.
func (f *Fault) LieHealthy() { f.change(func(s *faults) { s.lie = true }) }

// AckLost lets the wrapped store apply each of the next n writes and then makes
// it fail with an error that matches ErrAmbiguous. A batch is one write. A write
// that the wrapped store itself refuses returns that error and is not counted.
func (f *Fault) AckLost(n int) { f.change(func(s *faults) { s.ackLost = n }) }

// ApplyLate says what becomes of a write that hangs and whose ctx ends: with on,
// its caller still gets ctx.Err(), but a copy of the write is kept and applied
// when Up wakes the store, like a command that waits in the socket buffer of a
// frozen server. Turned off, or closed, the Fault keeps none from then on; what
// it kept stays kept until Up, and Close drops it.
func (f *Fault) ApplyLate(on bool) { f.change(func(s *faults) { s.applyLate = on }) }

// LateBy makes the writes that ApplyLate kept land d after Up in place of within
// it: newer writes get there first. They land on a goroutine that Close ends.
func (f *Fault) LateBy(d time.Duration) { f.change(func(s *faults) { s.lateBy = d }) }

// PanicNext makes each of the next n calls panic with an error; nothing is
// applied. Health is no call.
func (f *Fault) PanicNext(n int) { f.change(func(s *faults) { s.panics = n }) }

// GoexitNext makes each of the next n calls end its goroutine by
// runtime.Goexit; nothing is applied. Health is no call.
func (f *Fault) GoexitNext(n int) { f.change(func(s *faults) { s.goexits = n }) }

// Calls returns how many calls other than Health have come in so far, failed
// ones included.
func (f *Fault) Calls() int {
	n := 0
	for op := range resilient.OpHealth {
		n += f.Count(op)
	}
	return n
}

// Count returns how many calls of op have come in so far, failed ones included.
// A batch is one call of its own op even if it is served key by key.
func (f *Fault) Count(op resilient.Op) int {
	if int(op) >= len(f.counts) {
		return 0
	}
	return int(f.counts[op].Load())
}

// Hanging returns how many calls and checks hang or wait at this moment.
func (f *Fault) Hanging() int { return int(f.hanging.Load()) }

// Late returns how many writes ApplyLate keeps until Up.
func (f *Fault) Late() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.late)
}

// Unwrap returns the wrapped store: for looking, and for what must not meet a
// fault.
func (f *Fault) Unwrap() resilient.KVWithHealth { return f.kv }

// Limits returns those of the wrapped store, zero if it has none.
func (f *Fault) Limits() resilient.Limits {
	if l, ok := f.kv.(resilient.Limited); ok {
		return l.Limits()
	}
	return resilient.Limits{}
}

// Classify returns the class of an error that Fault made itself: Refused, but
// Failed for a lost answer. For every other error, those given to FailWrites and
// the like included, it asks the wrapped store; OK if that does not know.
func (f *Fault) Classify(err error) resilient.Class {
	var own *injected
	if errors.As(err, &own) {
		return own.class
	}
	if errors.Is(err, resilient.ErrAmbiguous) {
		return resilient.Failed
	}
	if c, ok := f.kv.(resilient.Classifier); ok {
		return c.Classify(err)
	}
	return resilient.OK
}

// Close closes the wrapped store, once; every call returns what that returned,
// or an error if it panicked, which is the first caller's.
// It waits for the writes that LateBy has under way, not for calls.
func (f *Fault) Close() error {
	f.mu.Lock()
	first := !f.done
	f.done, f.late = true, nil
	f.mu.Unlock()
	if !first {
		<-f.closed
		return f.closeErr
	}
	close(f.closing)
	defer close(f.closed)
	defer f.landing.Wait()
	f.closeErr = errCloseEnded // unless it returns
	f.closeErr = f.kv.Close()
	return f.closeErr
}

func (f *Fault) change(set func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set(&f.set)
}

func orElse(err, other error) error {
	if err == nil {
		return other
	}
	return err
}
