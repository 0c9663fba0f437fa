package resilient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

var errBroken = errors.New("broken pipe, more or less")

// answers makes a fake whose Get, Set and Delete return err.
func answers(err error) *fake {
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { return nil, err }
	f.set = func(context.Context, string, []byte) error { return err }
	f.del = func(context.Context, string) error { return err }
	return f
}

// counts is a Config whose breaker opens at the first failed call.
func counts() Config {
	cfg := quiet()
	cfg.Breaker.Failures = 1
	return cfg
}

func TestEachClassHasItsErrorAndItsOutcome(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, c := range map[string]struct {
		err               error
		class             Class
		opens             bool
		is, isNot         []error
		ambiguousIfAWrite bool
	}{
		"invalid": {err: fmt.Errorf("store: %w", ErrValueTooLarge), class: Invalid, is: []error{ErrValueTooLarge}, isNot: []error{ErrUnavailable}},
		"refused": {err: refused, class: Refused, opens: true, is: []error{ErrUnavailable, ErrRefused, syscall.ECONNREFUSED}},
		"failed":  {err: errBroken, class: Failed, opens: true, is: []error{ErrUnavailable, errBroken}, isNot: []error{ErrRefused}, ambiguousIfAWrite: true},
		"says so": {err: fmt.Errorf("lost: %w", ErrAmbiguous), class: Failed, opens: true, is: []error{ErrUnavailable}, isNot: []error{ErrRefused}, ambiguousIfAWrite: true},
		"closed":  {err: ErrClosed, class: Refused, opens: true, is: []error{ErrClosed, ErrRefused}},
		"busy":    {err: ErrBusy, class: Refused, is: []error{ErrBusy, ErrRefused}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, op := range []Op{OpGet, OpSet, OpDelete} {
				s := wrap(t, answers(c.err), counts())
				err := map[Op]func() error{
					OpGet:    func() error { _, err := s.GetRaw(t.Context(), "k"); return err },
					OpSet:    func() error { return s.SetRaw(t.Context(), "k", nil) },
					OpDelete: func() error { return s.Delete(t.Context(), "k") },
				}[op]()
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.class, e.Class)
				require.Equal(t, op, e.Op)
				require.Equal(t, "s", e.Store)
				require.Equal(t, 1, e.Attempts)
				for _, target := range c.is {
					require.ErrorIs(t, err, target)
				}
				for _, target := range c.isNot {
					require.NotErrorIs(t, err, target)
				}
				if !errors.Is(c.err, ErrAmbiguous) {
					require.Equal(t, c.ambiguousIfAWrite && op.Writes(), errors.Is(err, ErrAmbiguous))
				}
				require.Equal(t, c.opens, s.State() == breaker.Open)
			}
		})
	}
}

// conflicted classifies everything as Conflict.
func conflicted(error) Class { return Conflict }

func TestAConflictIsRefusedForTheCallerAndGoodForTheBreaker(t *testing.T) {
	cfg := counts()
	cfg.Classify = conflicted
	s := wrap(t, answers(errBroken), cfg)
	err := s.SetRaw(t.Context(), "k", nil)
	require.ErrorIs(t, err, ErrRefused)
	require.NotErrorIs(t, err, ErrAmbiguous)
	require.Equal(t, breaker.Closed, s.State())
}

// classifying is a fake that is a Classifier.
type classifying struct {
	*fake
	class Class
}

func (c classifying) Classify(error) Class { return c.class }

func TestConfigClassifyComesBeforeTheStoresOwnAndBothMayNotKnow(t *testing.T) {
	class := func(kv KVWithHealth, own func(error) Class) Class {
		cfg := quiet()
		cfg.Classify = own
		_, err := wrap(t, kv, cfg).GetRaw(t.Context(), "k")
		var e *Error
		require.ErrorAs(t, err, &e)
		return e.Class
	}
	f := answers(errBroken)
	require.Equal(t, Refused, class(classifying{f, Refused}, nil))
	require.Equal(t, Refused, class(Detach(KeepOpen(classifying{f, Refused}), 0), nil), "decorators forward it")
	require.Equal(t, Failed, class(classifying{f, OK}, nil), "OK is: don't know")
	require.Equal(t, Invalid, class(classifying{f, Refused}, func(error) Class { return Invalid }))
	require.Equal(t, Failed, class(classifying{f, Refused}, func(error) Class { return OK }), "Config.Classify is in the place of the store's")
}

func TestTheClassifierIsNotAskedAboutSuccess(t *testing.T) {
	cfg := quiet()
	cfg.Classify = func(err error) Class {
		require.Error(t, err)
		return OK
	}
	require.NoError(t, wrap(t, newFake(), cfg).SetRaw(t.Context(), "k", nil))
}

// foreign is a store's own kind of miss.
type foreign struct{}

func (foreign) Error() string  { return "no such row" }
func (foreign) NotFound() bool { return true }

func TestAMissIsAnAnswer(t *testing.T) {
	theirs := errors.New("kivigo: key not found")
	for name, c := range map[string]struct {
		err error
		cfg func(*Config)
	}{
		"ours":                {err: ErrNotFound},
		"ours, wrapped":       {err: fmt.Errorf("bolt: %w", ErrNotFound)},
		"has NotFound":        {err: foreign{}},
		"named to Classify":   {err: theirs, cfg: func(c *Config) { c.Classify = NotFoundIs(theirs) }},
		"with a foreign word": {err: ErrNotFound, cfg: func(c *Config) { c.NotFound = theirs }},
		"wrapped, and that":   {err: fmt.Errorf("bolt: %w", ErrNotFound), cfg: func(c *Config) { c.NotFound = theirs }},
		"theirs already":      {err: theirs, cfg: func(c *Config) { c.NotFound = theirs; c.Classify = NotFoundIs(theirs) }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := counts()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			s := wrap(t, answers(c.err), cfg)
			value, err := s.GetRaw(t.Context(), "k")
			require.Nil(t, value)
			require.ErrorIs(t, err, ErrNotFound)
			require.ErrorIs(t, err, c.err, "and it is the store's own still")
			require.NotErrorIs(t, err, ErrUnavailable)
			require.Equal(t, cfg.NotFound != nil, cfg.NotFound != nil && errors.Is(err, cfg.NotFound))
			require.Equal(t, breaker.Closed, s.State())
			require.NoError(t, s.Delete(t.Context(), "k"), "to delete what is not there is no error")
			require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous, "a Set cannot miss: something is wrong")
			require.Equal(t, breaker.Open, s.State())
		})
	}
}

func TestAMissOfAListIsAnEmptyList(t *testing.T) {
	f := newFake()
	f.list = func(context.Context, string) ([]string, error) { return nil, ErrNotFound }
	keys, err := wrap(t, f, counts()).List(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, []string{}, keys)
}

func TestTheCallersOwnEndIsNoEvidence(t *testing.T) {
	for name, fails := range map[string]func(context.Context) error{
		"the store says so":             hangs,
		"the store says something else": func(ctx context.Context) error { <-ctx.Done(); return errBroken },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			ctx, cancel := context.WithCancel(t.Context())
			f.set = func(ctx context.Context, _ string, _ []byte) error { cancel(); return fails(ctx) }
			f.get = func(ctx context.Context, _ string) ([]byte, error) { return nil, fails(ctx) }
			s := wrap(t, f, counts())
			err := s.SetRaw(ctx, "k", nil)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, Canceled, e.Class)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, ErrAmbiguous, "it had been handed over")
			require.Equal(t, breaker.Closed, s.State())

			short, stop := context.WithTimeout(t.Context(), time.Millisecond)
			defer stop()
			_, err = s.GetRaw(short, "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, ErrUnavailable)
			require.Equal(t, breaker.Closed, s.State())
		})
	}
}

func TestAWriteThatTheStoreRefusedAsItsCallerLeftIsNotAmbiguous(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake()
	f.set = func(context.Context, string, []byte) error { cancel(); return fmt.Errorf("pool: %w", ErrRefused) }
	err := wrap(t, f, counts()).SetRaw(ctx, "k", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrAmbiguous)
}

func TestAnAnswerCountsEvenIfTheCtxHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { cancel(); return []byte("v"), nil }
	value, err := wrap(t, f, counts()).GetRaw(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(value))

	ctx, cancel = context.WithCancel(t.Context())
	f.get = func(context.Context, string) ([]byte, error) { cancel(); return nil, ErrNotFound }
	_, err = wrap(t, f, counts()).GetRaw(ctx, "k")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestOurTimeoutIsTheStoresFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(ctx context.Context, _ string) ([]byte, error) {
			<-ctx.Done()
			require.Equal(t, ErrTimeout, context.Cause(ctx))
			return nil, ctx.Err()
		}
		f.list = func(ctx context.Context, _ string) ([]string, error) { return nil, hangs(ctx) }
		s := wrap(t, f, counts())
		began := time.Now()
		_, err := s.GetRaw(t.Context(), "k")
		require.Equal(t, 2*time.Second, time.Since(began))
		require.ErrorIs(t, err, ErrUnavailable)
		require.Equal(t, breaker.Open, s.State())

		s = wrap(t, f, counts())
		began = time.Now()
		_, err = s.List(t.Context(), "")
		require.Equal(t, 20*time.Second, time.Since(began))
		require.ErrorIs(t, err, ErrUnavailable)
		require.NoError(t, s.Close())
	})
}

func TestAWriteThatTheStoreRefusedAtOurTimeoutIsNotAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set = func(ctx context.Context, _ string, _ []byte) error {
			_ = hangs(ctx)
			return fmt.Errorf("pool: %w", ErrRefused)
		}
		s := wrap(t, f, counts())
		err := s.SetRaw(t.Context(), "k", nil)
		require.ErrorIs(t, err, ErrTimeout)
		require.ErrorIs(t, err, ErrRefused)
		require.NotErrorIs(t, err, ErrAmbiguous)
		require.Equal(t, breaker.Open, s.State(), "it hung all the same")
	})
}

func TestADeadlineOfAnotherLayerOfOursIsTheStoresFailureToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set = func(ctx context.Context, _ string, _ []byte) error { return hangs(ctx) }
		s := wrap(t, f, counts())
		share := WithTimeout(t.Context(), 50*time.Millisecond)
		defer share.End()
		err := s.SetRaw(share, "k", nil)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, Failed, e.Class)
		require.Equal(t, breaker.Open, s.State())
		require.NoError(t, s.Close())
	})
}

func TestACallThatIsNoLongerNeededSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(ctx context.Context, _ string) ([]byte, error) { return nil, hangs(ctx) }
		s := wrap(t, f, counts())
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(ErrSuperseded) })
		_, err := s.GetRaw(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, s.breaker.InDoubt())
		require.Equal(t, breaker.Closed, s.State())
		require.NoError(t, s.Close())
	})
}

func TestS28_APanicOfTheStoreIsAFailedCall(t *testing.T) {
	for name, value := range map[string]any{"error": errBroken, "miss": ErrNotFound, "text": "secret", "nil": nil} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{}
			cfg := counts()
			cfg.Observer, cfg.MaxInFlight = rec, 1
			f := newFake()
			f.set = func(context.Context, string, []byte) error { panic(value) }
			s := wrap(t, f, cfg)
			err := s.SetRaw(t.Context(), "k", nil)
			require.ErrorIs(t, err, ErrAmbiguous)
			var p *PanicError
			require.ErrorAs(t, err, &p)
			if value != nil {
				require.Equal(t, value, p.Value)
			}
			require.NotContains(t, err.Error(), "secret")
			require.NotErrorIs(t, err, errBroken)
			require.Equal(t, Failed, DefaultClassify(err), "a Store around this one")
			require.NotErrorIs(t, err, ErrNotFound)
			require.Equal(t, breaker.Open, s.State(), "the permit was settled")
			require.Zero(t, s.Status().InFlight)
			require.Len(t, rec.of(KindCall), 1)
			require.Len(t, rec.of(KindDone), 1)
		})
	}
}

func TestS28_ACallThatEndsItsGoroutineIsSettledAndTold(t *testing.T) {
	rec := &recorder{}
	cfg := counts()
	cfg.Observer, cfg.MaxInFlight = rec, 1
	f := newFake()
	f.get = func(context.Context, string) ([]byte, error) { runtime.Goexit(); return nil, nil }
	s := wrap(t, f, cfg)
	var wait sync.WaitGroup
	wait.Go(func() {
		_, _ = s.GetRaw(t.Context(), "k")
		t.Error("it ends the goroutine")
	})
	wait.Wait()
	require.Equal(t, breaker.Open, s.State())
	require.Zero(t, s.Status().InFlight)
	require.Len(t, rec.of(KindCall), 1)
	require.Equal(t, Failed, rec.of(KindCall)[0].Class)
	require.Error(t, rec.of(KindDone)[0].Err)
	require.Len(t, rec.of(KindDone), 1)
}

func TestS28_APanicOfTheClassifierIsContainedToo(t *testing.T) {
	cfg := counts()
	cfg.Classify = func(error) Class { panic("classifier") }
	s := wrap(t, answers(errBroken), cfg)
	require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous)
	require.Equal(t, breaker.Open, s.State())
}

func TestAHungTrialWhosePermitIsLostDoesNotWedgeTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		cfg := quiet()
		cfg.Breaker = breaker.Config{Failures: 1, Trials: 1, OpenFor: time.Second}
		s := wrap(t, f, cfg)
		f.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		_, _ = s.GetRaw(t.Context(), "k")
		require.Equal(t, breaker.Open, s.State())
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State())
		f.get = func(context.Context, string) ([]byte, error) { runtime.Goexit(); return nil, nil }
		go func() { _, _ = s.GetRaw(t.Context(), "k") }()
		synctest.Wait()
		f.get = nil
		time.Sleep(10 * time.Second)
		require.NoError(t, s.SetRaw(t.Context(), "k", nil))
		require.Equal(t, breaker.Closed, s.State())
		require.NoError(t, s.Close())
	})
}

func TestWhatWeRefuseReachesNobody(t *testing.T) {
	rec := &recorder{}
	cfg := quiet()
	cfg.Observer = rec
	f := newFake()
	s := wrap(t, f, cfg)
	require.NoError(t, s.Breaker().Force(breaker.Open, "maintenance"))
	require.True(t, s.Status().Forced)
	for range 3 {
		err := s.SetRaw(t.Context(), "k", nil)
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorIs(t, err, breaker.ErrOpen)
		require.NotErrorIs(t, err, ErrAmbiguous)
		var opening *breaker.OpenError
		require.ErrorAs(t, err, &opening)
		require.Contains(t, opening.Reason, "maintenance")
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Zero(t, e.Attempts)
		require.Equal(t, OpSet, e.Op)
	}
	_, err := s.GetRaw(t.Context(), "k")
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, OpGet, e.Op)
	require.Zero(t, f.count(OpSet))
	require.Len(t, rec.of(KindCall), 4)
	require.Equal(t, "open", rec.of(KindCall)[0].Reason)
	require.Equal(t, Refused, rec.of(KindCall)[0].Class)
	require.False(t, rec.of(KindCall)[0].Ambiguous)

	s.Breaker().Release()
	require.NoError(t, s.SetRaw(t.Context(), "k", nil))
	require.NoError(t, s.Breaker().Force(breaker.Open, "again"))
	require.ErrorContains(t, s.SetRaw(t.Context(), "k", nil), "again", "each opening has its own error")
}

func TestS19_MaxInFlightRefusesWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return nil, nil }
		rec := &recorder{}
		cfg := counts()
		cfg.MaxInFlight, cfg.Observer = 2, rec
		s := wrap(t, f, cfg)
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				_, err := s.GetRaw(t.Context(), "k")
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		require.Equal(t, 2, s.Status().InFlight)
		_, err := s.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrBusy)
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrBusy)
		require.Equal(t, "busy", rec.of(KindCall)[0].Reason)
		require.Equal(t, 2, s.Status().InFlight)
		wait.Wait()
		require.Zero(t, s.Status().InFlight)
		require.Equal(t, breaker.Closed, s.State())
		require.NoError(t, s.SetRaw(t.Context(), "k", nil))
		require.NoError(t, s.Close())
	})
}

func TestABusyStoreSpendsNoTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		cfg := quiet()
		cfg.MaxInFlight = 1
		cfg.Breaker = breaker.Config{Failures: 1, Trials: 2, OpenFor: time.Second}
		s := wrap(t, f, cfg)
		f.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
		_, _ = s.GetRaw(t.Context(), "k")
		time.Sleep(time.Second + 1)
		require.Equal(t, breaker.HalfOpen, s.State())
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return nil, nil }
		go func() { _, _ = s.GetRaw(t.Context(), "k") }()
		synctest.Wait()
		_, err := s.GetRaw(t.Context(), "k")
		require.ErrorIs(t, err, ErrBusy)
		require.Equal(t, 1, s.Breaker().Status().InTrial)
		time.Sleep(time.Second)
		require.NoError(t, s.Close())
	})
}

func TestAReceiptSaysWhoAnswered(t *testing.T) {
	f := newFake()
	s := wrap(t, f, quiet())
	r := Receipt{Store: "old", Owed: 3, Stale: true}
	ctx := WithReceipt(t.Context(), &r)
	require.NoError(t, s.SetRaw(ctx, "k", nil))
	require.Equal(t, Receipt{Store: "s"}, r)
	r = Receipt{}
	_, err := s.GetRaw(ctx, "none")
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, Receipt{Store: "s"}, r)
	f.get = func(context.Context, string) ([]byte, error) { return nil, errBroken }
	_, err = s.GetRaw(ctx, "k")
	require.Error(t, err)
	require.Equal(t, Receipt{}, r, "nobody did")
}

func TestExactlyOneCallAndOneDoneAreToldOfEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		cfg := quiet()
		cfg.Observer = rec
		f := newFake()
		s := wrap(t, f, cfg)
		f.get = func(context.Context, string) ([]byte, error) { time.Sleep(time.Second); return nil, ErrNotFound }
		f.set = func(context.Context, string, []byte) error { return errBroken }
		ctx := t.Context()
		_, _ = s.GetRaw(ctx, "k")
		_ = s.SetRaw(ctx, "k", nil)
		_, _ = s.BatchGetRaw(ctx, []string{"a", "b"})
		_ = s.Delete(ctx, "")
		calls, dones := rec.of(KindCall), rec.of(KindDone)
		require.Len(t, calls, 3, "none for the empty key: nothing was tried")
		require.Len(t, dones, 4)

		now := time.Now()
		require.Equal(t, Event{Kind: KindCall, Time: now.Add(-2 * time.Second), Store: "s", Op: OpGet, Class: Missing, Duration: time.Second, Attempt: 1, Outcome: "success", Err: ErrNotFound}, calls[0])
		require.Equal(t, Event{Kind: KindDone, Time: now.Add(-2 * time.Second), Store: "s", Op: OpGet, Class: Missing, Duration: time.Second, Attempt: 1, Err: ErrNotFound}, dones[0])
		require.True(t, calls[1].Ambiguous)
		require.True(t, dones[1].Ambiguous)
		require.Equal(t, errBroken, calls[1].Err)
		require.ErrorIs(t, dones[1].Err, ErrAmbiguous)
		require.Equal(t, OpBatchGet, calls[2].Op)
		require.Equal(t, 2*time.Second, calls[2].Duration)
		require.Equal(t, Invalid, dones[3].Class)
		require.Zero(t, dones[3].Attempt)
		require.NoError(t, s.Close())
	})
}

// observer is an Observer that is a function.
type observer func(context.Context, Event)

func (o observer) Observe(ctx context.Context, e Event) { o(ctx, e) }

func TestS28_APanickingObserverLosesNoPermitAndNoLaterEvent(t *testing.T) {
	told := 0
	cfg := quiet()
	cfg.MaxInFlight = 1
	cfg.Breaker.Failures = 2
	cfg.Observer = observer(func(context.Context, Event) {
		told++
		panic("observer")
	})
	s := wrap(t, answers(errBroken), cfg)
	for range 2 {
		require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous)
	}
	require.Equal(t, breaker.Open, s.State())
	require.Zero(t, s.Status().InFlight)
	require.Equal(t, 5, told, "two calls, two dones, a change")
}

func TestS29_ASlowObserverHoldsNoPermitAndNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := quiet()
		cfg.MaxInFlight = 1
		cfg.Observer = observer(func(context.Context, Event) { time.Sleep(time.Hour) })
		s := wrap(t, newFake(), cfg)
		for range 3 {
			go func() { require.NoError(t, s.SetRaw(t.Context(), "k", nil)) }()
			synctest.Wait()
			require.Zero(t, s.Status().InFlight)
		}
		time.Sleep(3 * time.Hour)
		require.NoError(t, s.Close())
	})
}

func TestCallsAreToldWithTheCallersCtxAndOnItsGoroutine(t *testing.T) {
	ctx := context.WithValue(t.Context(), ctxKey{}, "caller")
	told := 0 // not guarded: the race detector sees another goroutine
	cfg := quiet()
	cfg.Observer = observer(func(ctx context.Context, _ Event) {
		require.Equal(t, "caller", ctx.Value(ctxKey{}))
		told++
	})
	require.NoError(t, wrap(t, newFake(), cfg).SetRaw(ctx, "k", nil))
	require.Equal(t, 2, told)
}

func TestS29_AnObserverMayCallTheStoreAndCloseIt(t *testing.T) {
	var s *Store
	cfg := counts()
	cfg.Observer = observer(func(ctx context.Context, e Event) {
		_ = s.Status()
		if e.Kind == KindChange {
			_, err := s.GetRaw(ctx, "k")
			require.ErrorIs(t, err, breaker.ErrOpen)
			require.NoError(t, s.Close())
		}
	})
	s = wrap(t, answers(errBroken), cfg)
	require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrAmbiguous)
	require.ErrorIs(t, s.SetRaw(t.Context(), "k", nil), ErrClosed)
}

func isAmbiguous(err error) bool { return errors.Is(err, ErrAmbiguous) }

// Clients that try again return the errors of all tries, joined.
func TestRegression_AWriteWhoseFirstTryMayHaveBeenAppliedWasRefusedBecauseOfItsLastTry(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, lost := range []error{io.EOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, context.DeadlineExceeded} {
		for _, err := range []error{errors.Join(lost, dial), fmt.Errorf("tries: %w, %w", dial, lost), fmt.Errorf("set: %w", errors.Join(dial, lost, syscall.ENOSPC))} {
			err := wrap(t, answers(err), quiet()).SetRaw(t.Context(), "k", nil)
			require.ErrorIs(t, err, ErrAmbiguous)
			require.NotErrorIs(t, err, ErrRefused)
		}
	}
	err := wrap(t, answers(errors.Join(dial, fmt.Errorf("second: %w", dial))), quiet()).SetRaw(t.Context(), "k", nil)
	require.ErrorIs(t, err, ErrRefused, "no try was sent")
	require.NotErrorIs(t, err, ErrAmbiguous)
}

func TestRegression_AnAmbiguousWriteWasTakenForAnInvalidOne(t *testing.T) {
	for _, reason := range []error{ErrValueTooLarge, ErrInvalidKey, &Error{Op: OpSet, Class: Invalid, Err: ErrInvalidKey}} {
		err := wrap(t, answers(errors.Join(reason, ErrAmbiguous)), quiet()).SetRaw(t.Context(), "k", nil)
		var told *Error
		require.ErrorAs(t, err, &told)
		require.Equal(t, Failed, told.Class)
	}
}
