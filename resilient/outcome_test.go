package resilient

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/breaker"
)

// Whoever counts calls went by their class, which is for the caller.
func TestRegression_CallsThatTheBreakerDoesNotBlameTheStoreForCountAsFailures(t *testing.T) {
	second := func(err error) *fake { // a batch that ends with err at its second key
		f := newFake()
		f.set = func(_ context.Context, key string, _ []byte) error {
			if key == "b" {
				return err
			}
			return nil
		}
		return f
	}
	for name, c := range map[string]struct {
		store    *fake
		classify func(error) Class
		class    Class
		outcome  string
	}{
		"the batch goes on until a value is refused": {store: second(ErrValueTooLarge), class: Failed, outcome: "success"},
		"... until a key is in conflict":             {store: second(errBroken), classify: conflicted, class: Failed, outcome: "success"},
		"... until a layer below is busy":            {store: second(ErrBusy), class: Failed, outcome: "ignored"},
		"... until the store fails":                  {store: second(errBroken), class: Failed, outcome: "failure"},
		"nothing is wrong":                           {store: newFake(), class: OK, outcome: "success"},
	} {
		rec := &recorder{}
		cfg := quiet()
		cfg.Observer, cfg.Classify = rec, c.classify
		_ = wrap(t, c.store, cfg).BatchSetRaw(t.Context(), map[string][]byte{"a": nil, "b": nil, "c": nil})
		require.Len(t, rec.of(KindCall), 1, name)
		require.Equal(t, c.class, rec.of(KindCall)[0].Class, name)
		require.Equal(t, c.outcome, rec.of(KindCall)[0].Outcome, name)
	}
}

func TestACallThatWasRefusedBeforeItsBreakerHeardOfItHasNoOutcome(t *testing.T) {
	rec := &recorder{}
	cfg := quiet()
	cfg.Observer, cfg.MaxInFlight = rec, 1
	f := newFake()
	s := wrap(t, f, cfg)
	f.get = func(context.Context, string) ([]byte, error) { return nil, s.SetRaw(t.Context(), "k", nil) }
	_, err := s.GetRaw(t.Context(), "k")
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, s.Breaker().Force(breaker.Open, "test"))
	require.ErrorIs(t, s.Delete(t.Context(), "k"), breaker.ErrOpen)
	var told []string
	for _, e := range rec.of(KindCall) {
		told = append(told, e.Op.String()+" "+e.Reason+" "+e.Outcome)
	}
	require.Equal(t, []string{"set busy ", "get  ignored", "delete open "}, told)
}

func TestACallThatCloseEndedHasTheOutcomeIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, rec, ended := newFake(), &recorder{}, make(chan struct{})
		f.get = func(context.Context, string) ([]byte, error) { <-ended; return nil, ErrClosed }
		f.shut = func() error { close(ended); return nil }
		cfg := quiet()
		cfg.Observer = rec
		s := wrap(t, f, cfg)
		go func() { _, _ = s.GetRaw(t.Context(), "k") }()
		synctest.Wait()
		require.NoError(t, s.Close())
		synctest.Wait()
		require.Equal(t, Refused, rec.of(KindCall)[0].Class)
		require.Equal(t, "ignored", rec.of(KindCall)[0].Outcome)
	})
}

// none is several errors, of which there are none.
type none struct{}

func (none) Error() string   { return "none" }
func (none) Unwrap() []error { return nil }

func TestWhatNoErrorSaysIsFailed(t *testing.T) {
	require.Equal(t, Failed, DefaultClassify(none{}))
	require.Equal(t, Failed, DefaultClassify(&Error{Op: OpGet, Class: Canceled, Err: context.Canceled}), "by a caller of that store's, not of this one's")
}

func TestACallThatIsNotTriedIsToldWithWhyNot(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	rec := &recorder{}
	cfg := quiet()
	cfg.Observer = rec
	s := wrap(t, newFake(), cfg)
	receipt := Receipt{Store: "of the call before"}
	ctx := WithReceipt(gone, &receipt)
	_ = s.Delete(ctx, "k")
	require.Zero(t, receipt)
	_ = s.Delete(ctx, "")
	_ = s.BatchDelete(t.Context(), nil)
	_ = s.Close()
	_ = s.Delete(ctx, "k")
	var told []Class
	for _, e := range rec.of(KindDone) {
		require.Zero(t, e.Attempt)
		require.False(t, e.Ambiguous)
		told = append(told, e.Class)
	}
	require.Equal(t, []Class{Canceled, Invalid, OK, Refused}, told)
	require.Empty(t, rec.of(KindCall))
}
