package kvtest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfastkv/holdfast/resilient"
	"github.com/stretchr/testify/require"
)

// RunDecorated runs the suite on the store as it is, under resilient.Wrap with
// and without probing, under resilient.Detach, and under a Fault with no fault
// set, and checks what a decorator owes to the store and to its caller. The large
// cases are as with -short in all but the first of these.
func RunDecorated(t *testing.T, h Harness) {
	t.Helper()
	t.Run("Bare", func(t *testing.T) { Run(t, h) })
	for _, d := range decorators {
		t.Run(d.name, func(t *testing.T) {
			runSuite(t, h.under(d), true)
			t.Run("Decorator", func(t *testing.T) {
				for _, c := range decoratorCases(d) {
					t.Run(c.name, func(t *testing.T) { c.run(newEnv(t, h, true)) })
				}
			})
		})
	}
}

// decorator is a way to put a store under something else.
type decorator struct {
	name   string
	wrap   func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth
	checks bool // it refuses bad keys and serves empty batches itself
	atomic bool // a batch of the store is a batch of the decorator
	leaves bool // its caller can leave a store that ignores ctx
}

var decorators = []decorator{
	{name: "Store", wrap: wrapWith(resilient.Config{}), checks: true},
	{name: "StoreWithoutProbes", wrap: wrapWith(resilient.Config{Probe: resilient.Probe{Interval: -1}}), checks: true},
	{name: "Detach", wrap: func(_ testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return resilient.Detach(kv, 0)
	}, atomic: true, leaves: true},
	{name: "Fault", wrap: func(_ testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
		return NewFault(kv)
	}, atomic: true},
}

func wrapWith(cfg resilient.Config) func(testing.TB, resilient.KVWithHealth) resilient.KVWithHealth {
	return func(tb testing.TB, kv resilient.KVWithHealth) resilient.KVWithHealth {
		s, err := resilient.Wrap(kv, cfg)
		require.NoError(tb, err)
		return s
	}
}

// under returns h with every store under d.
func (h Harness) under(d decorator) Harness {
	wrap := func(open func(testing.TB) resilient.KVWithHealth) func(testing.TB) resilient.KVWithHealth {
		if open == nil {
			return nil
		}
		return func(tb testing.TB) resilient.KVWithHealth { return d.wrap(tb, open(tb)) }
	}
	h.Open, h.Reopen, h.Second = wrap(h.Open), wrap(h.Reopen), wrap(h.Second)
	h.Atomic = h.Atomic && d.atomic
	return h
}

// decoratorCases are about d alone: the store below it fails on command.
func decoratorCases(d decorator) []testCase {
	// over returns a store under d and the means to make it fail.
	over := func(e *env) (*store, *Fault) {
		fault := NewFault(e.h.Open(e.TB))
		e.Cleanup(func() { _ = fault.Close() }) // ends what hangs, whatever d does
		return e.use(d.wrap(e.TB, fault)), fault
	}
	cases := []testCase{
		{"PreservesCapabilities", func(e *env) {
			bare := e.open()
			s := e.use(d.wrap(e.TB, e.h.Open(e.TB)))
			require.False(e, bare.batch != nil && s.batch == nil, "the store serves batches")
			if l, ok := bare.kv.(resilient.Limited); ok {
				require.Implements(e, (*resilient.Limited)(nil), s.kv)
				require.Equal(e, l.Limits(), s.kv.(resilient.Limited).Limits())
			}
		}},
		{"UnwrapReachesBackend", func(e *env) {
			s, fault := over(e)
			u, ok := s.kv.(interface{ Unwrap() resilient.KVWithHealth })
			require.True(e, ok, "no Unwrap() resilient.KVWithHealth")
			require.Same(e, fault, u.Unwrap())
		}},
		{"CloseOnce", func(e *env) {
			c := &observed{kv: e.h.Open(e.TB)}
			s := e.use(d.wrap(e.TB, c))
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { _ = s.kv.Close() })
			}
			wg.Wait()
			require.NoError(e, s.kv.Close())
			require.EqualValues(e, 1, c.closes.Load())
		}},
		{"CloseTellsTheStoresError", func(e *env) {
			c := &observed{kv: e.h.Open(e.TB), closeErr: errors.New("close failed")}
			kv := d.wrap(e.TB, c)
			require.ErrorIs(e, kv.Close(), c.closeErr)
			require.ErrorIs(e, kv.Close(), c.closeErr)
		}},
		{"CtxPassThrough", func(e *env) {
			c := &observed{kv: e.h.Open(e.TB)}
			s := e.use(d.wrap(e.TB, c))
			ctx := context.WithValue(e.Context(), mark{}, "here")
			for _, o := range s.operations() {
				if o.op == resilient.OpHealth {
					continue // callers share a check
				}
				c.seen.Store(false)
				_ = o.run(ctx, "key", nil)
				require.True(e, c.seen.Load(), "%s: the store got another ctx", o.name)
			}
		}},
		{"SentinelsPassThrough", func(e *env) {
			for _, want := range []error{
				errors.New("the driver's own"), resilient.ErrRefused, resilient.ErrAmbiguous,
				resilient.ErrInvalidKey, resilient.ErrValueTooLarge,
			} {
				for op := range resilient.OpHealth {
					s, fault := over(e) // fresh: many failures on one open a breaker
					fault.FailReads(want)
					fault.FailWrites(want)
					for _, o := range s.operations() {
						if o.op == op {
							require.ErrorIs(e, o.run(e.Context(), "key", nil), want, o.name)
						}
					}
				}
			}
		}},
		{"BackendErrorPropagates", func(e *env) {
			s, fault := over(e)
			s.set("key", []byte("value"))
			fault.Down()
			for _, o := range s.operations() {
				if o.op == resilient.OpHealth {
					_ = o.run(e.Context(), "key", nil) // callers share a check, and one may have begun before
				}
				err := o.run(e.Context(), "key", []byte("new"))
				require.ErrorIs(e, err, resilient.ErrUnavailable, o.name)
				require.NotErrorIs(e, err, resilient.ErrNotFound, o.name)
			}
			require.Equal(e, "value", stored(e, fault, "key"))
		}},
		{"LostAnswer_IsAmbiguous", func(e *env) {
			s, fault := over(e)
			fault.AckLost(1)
			require.ErrorIs(e, s.kv.SetRaw(e.Context(), "key", []byte("value")), resilient.ErrAmbiguous)
			require.Equal(e, "value", stored(e, fault, "key"))
		}},
		{"HungStore_CallersLeaveWhenTheirCtxEnds", func(e *env) {
			s, fault := over(e)
			fault.Hang()
			e.hung(s, fault)
			fault.Up()
			s.set("key", []byte("after"))
			s.holds("key", []byte("after"))
		}},
		{"HungStore_CloseEndsCalls", func(e *env) {
			s, fault := over(e)
			fault.Hang()
			done := make(chan error, 1)
			go func() { done <- s.kv.SetRaw(e.Context(), "key", nil) }()
			e.eventually("a call that hangs", func() bool { return fault.Hanging() > 0 })
			require.NoError(e, e.finishes("Close of a hung store", s.kv.Close))
			require.Error(e, e.finishes("the call that hung", func() error { return <-done }))
		}},
	}
	cases = append(cases, when(d.leaves, testCase{"DeafStore_CallersLeaveWhenTheirCtxEnds", func(e *env) {
		s, fault := over(e)
		fault.HangIgnoringContext()
		e.hung(s, fault)
		fault.Up()
		s.set("after", nil)
	}})...)
	return append(cases, when(d.checks, testCase{"NoIO_ForWhatNeedsNone", func(e *env) {
		s, fault := over(e)
		for key, want := range badKeys {
			for _, o := range s.operations() {
				if o.op != resilient.OpList && o.op != resilient.OpHealth {
					require.ErrorIs(e, o.run(e.Context(), key, nil), want, "%s(%q)", o.name, short(key))
				}
			}
		}
		require.Empty(e, s.batchGet())
		s.batchSet(nil)
		s.batchDel()
		require.Zero(e, fault.Calls(), "calls that reached the store")
	}})...)
}

// hung calls every operation of a store that hangs, with a ctx that ends.
func (e *env) hung(s *store, fault *Fault) {
	e.Helper()
	for _, o := range s.operations() {
		ctx, cancel := context.WithCancel(e.Context())
		done := make(chan error, 1)
		before := fault.Count(o.op)
		go func() { done <- o.run(ctx, "key", []byte("value")) }()
		e.eventually("a call that hangs", func() bool { // a check may be under way already
			return fault.Hanging() > 0 && (fault.Count(o.op) > before || o.op == resilient.OpHealth)
		})
		cancel()
		err := e.finishes(o.name+" of a hung store", func() error { return <-done })
		require.ErrorIs(e, err, context.Canceled, o.name)
	}
}

// stored returns what the store below f has for key.
func stored(e *env, f *Fault, key string) string {
	e.Helper()
	value, err := f.Unwrap().GetRaw(e.Context(), key)
	require.NoError(e, err)
	return string(value)
}

// mark is the key of a value that must travel with a ctx.
type mark struct{}

// observed is a store that looks at how it is called. It is no Batcher.
type observed struct {
	kv       resilient.KVWithHealth
	seen     atomic.Bool // the mark came through
	closes   atomic.Int64
	closeErr error
}

func (o *observed) look(ctx context.Context) { o.seen.Store(ctx.Value(mark{}) == "here") }

func (o *observed) GetRaw(ctx context.Context, key string) ([]byte, error) {
	o.look(ctx)
	return o.kv.GetRaw(ctx, key)
}

func (o *observed) SetRaw(ctx context.Context, key string, value []byte) error {
	o.look(ctx)
	return o.kv.SetRaw(ctx, key, value)
}

func (o *observed) Delete(ctx context.Context, key string) error {
	o.look(ctx)
	return o.kv.Delete(ctx, key)
}

func (o *observed) List(ctx context.Context, prefix string) ([]string, error) {
	o.look(ctx)
	return o.kv.List(ctx, prefix)
}

func (o *observed) Health(ctx context.Context) error { return o.kv.Health(ctx) }

func (o *observed) Close() error {
	o.closes.Add(1)
	return errors.Join(o.kv.Close(), o.closeErr)
}
