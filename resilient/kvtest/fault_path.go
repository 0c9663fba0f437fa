package kvtest

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/holdfastkv/holdfast/resilient"
)

// do takes c through the faults to the wrapped store.
func (f *Fault) do(ctx context.Context, c *call) error {
	f.counts[c.op].Add(1)
	select {
	case <-f.closing:
		return resilient.ErrClosed
	default:
	}
	if c.needsNoIO(ctx) {
		return f.apply(ctx, c)
	}
	met := f.enter(c)
	if c.op == resilient.OpHealth && met.lie {
		return nil
	}
	switch {
	case met.panics > 0:
		panic(errors.New("kvtest: a panic on command"))
	case met.goexits > 0:
		runtime.Goexit()
	case met.down:
		return errDown
	}
	if err := f.hold(ctx, c, met); err != nil {
		return err
	}
	if err := met.refusal(c.op); err != nil {
		return err
	}
	if err := f.apply(ctx, c); err != nil || !c.op.Writes() {
		return err
	}
	return f.acknowledge()
}

// enter returns the faults that c meets. One of the panics
// or exits that were asked for is spent on it.
func (f *Fault) enter(c *call) faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	met := f.set
	if c.op == resilient.OpHealth {
		met.panics, met.goexits = 0, 0
		return met
	}
	switch {
	case met.panics > 0:
		f.set.panics--
	case met.goexits > 0:
		f.set.goexits--
	}
	return met
}

// hold keeps c for as long as met says; an error ends it.
func (f *Fault) hold(ctx context.Context, c *call, met faults) error {
	if met.hang == hangNot && met.latency <= 0 {
		return nil
	}
	f.hanging.Add(1)
	defer f.hanging.Add(-1)
	if met.hang != hangNot {
		if err := f.freeze(ctx, c, met); err != nil {
			return err
		}
	}
	if met.latency <= 0 {
		return nil
	}
	timer := time.NewTimer(met.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-met.wake.up:
	case <-ctx.Done():
	case <-f.closing:
		return resilient.ErrClosed
	}
	return ctx.Err()
}

// freeze blocks until Up, Close or, if met.hang minds it, the end of ctx.
func (f *Fault) freeze(ctx context.Context, c *call, met faults) error {
	done := ctx.Done()
	if met.hang == hangWhatever {
		done = nil
	}
	select {
	case <-met.wake.up:
	case <-done:
		f.keep(ctx, c)
		return ctx.Err()
	case <-f.closing:
		return resilient.ErrClosed
	}
	if ctx.Err() == nil {
		return nil
	}
	if met.wake.applyLate && c.op.Writes() {
		f.land([]*call{c.clone(ctx)})
	}
	return ctx.Err()
}

// keep remembers a write whose caller leaves, if ApplyLate is on.
func (f *Fault) keep(ctx context.Context, c *call) {
	if !c.op.Writes() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set.applyLate && !f.done {
		f.late = append(f.late, c.clone(ctx))
	}
}

// land applies late writes one after the other; a store that is closed or that
// panics drops them.
func (f *Fault) land(late []*call) {
	for _, c := range late {
		func() {
			defer func() { _ = recover() }()
			_ = f.apply(c.ctx, c)
		}()
	}
}

func (f *Fault) landAfter(d time.Duration, late []*call) {
	defer f.landing.Done()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		f.land(late)
	case <-f.closing:
	}
}

// refusal returns the error that op fails with in place of being served.
func (m *faults) refusal(op resilient.Op) error {
	switch {
	case op == resilient.OpHealth:
		return m.health
	case op.Writes():
		return m.writes
	}
	return m.reads
}

// acknowledge returns nil for a write that was applied, or what its caller gets
// if the answer is to be lost.
func (f *Fault) acknowledge() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.set.ackLost <= 0 {
		return nil
	}
	f.set.ackLost--
	return errAckLost
}
