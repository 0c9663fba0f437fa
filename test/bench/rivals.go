package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfastkv/holdfast/resilient"
)

// getSetter is what the ways to stay up are measured with.
type getSetter interface {
	GetRaw(ctx context.Context, key string) ([]byte, error)
	SetRaw(ctx context.Context, key string, value []byte) error
}

// patience bounds every attempt of every way: what a Store has by default.
const patience = 2 * time.Second

// The breakers of the others open and close as a Store's does by default: after
// five failed calls in a row, for a second, until two are good.
const (
	failuresToOpen = 5
	trialsToClose  = 2
	openFor        = time.Second
)

// patiently is a store whose calls get a deadline, and nothing else.
type patiently struct{ kv resilient.KVWithHealth }

func (p patiently) GetRaw(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.kv.GetRaw(ctx, key)
}

func (p patiently) SetRaw(ctx context.Context, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.kv.SetRaw(ctx, key, value)
}

// checking asks for the health of the first store before each call, and takes
// the second one if it is not well.
type checking struct{ first, second resilient.KVWithHealth }

func (c checking) pick(ctx context.Context) patiently {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.first.Health(ctx) != nil {
		return patiently{c.second}
	}
	return patiently{c.first}
}

func (c checking) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return c.pick(ctx).GetRaw(ctx, key)
}

func (c checking) SetRaw(ctx context.Context, key string, value []byte) error {
	return c.pick(ctx).SetRaw(ctx, key, value)
}

// tripping calls the first store through gobreaker, and the second one if that
// fails.
type tripping struct {
	first, second patiently
	breaker       *gobreaker.CircuitBreaker[[]byte]
}

func newTripping(first, second resilient.KVWithHealth) tripping {
	return tripping{patiently{first}, patiently{second}, gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{
		MaxRequests: trialsToClose, Timeout: openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= failuresToOpen },
	})}
}

func (t tripping) GetRaw(ctx context.Context, key string) ([]byte, error) {
	value, err := t.breaker.Execute(func() ([]byte, error) { return t.first.GetRaw(ctx, key) })
	if err != nil {
		return t.second.GetRaw(ctx, key)
	}
	return value, nil
}

func (t tripping) SetRaw(ctx context.Context, key string, value []byte) error {
	_, err := t.breaker.Execute(func() ([]byte, error) { return nil, t.first.SetRaw(ctx, key, value) })
	if err != nil {
		return t.second.SetRaw(ctx, key, value)
	}
	return nil
}

// failsafes is the same in failsafe-go's policies: a fallback around a breaker
// around a timeout. The fallback learns from the context what was asked for.
type failsafes struct {
	first, second resilient.KVWithHealth
	policies      failsafe.Executor[[]byte]
}

// request is what a call of failsafes is about; a nil value asks for the key's.
type request struct {
	key   string
	value []byte
}

type requestKey struct{}

func newFailsafes(first, second resilient.KVWithHealth) failsafes {
	back := fallback.NewWithFunc(func(e failsafe.Execution[[]byte]) ([]byte, error) { return ask(e, second) })
	trip := circuitbreaker.NewBuilder[[]byte]().
		WithFailureThreshold(failuresToOpen).WithSuccessThreshold(trialsToClose).WithDelay(openFor).Build()
	return failsafes{first, second, failsafe.With[[]byte](back, trip, timeout.New[[]byte](patience))}
}

func ask(e failsafe.Execution[[]byte], kv getSetter) ([]byte, error) {
	r, _ := e.Context().Value(requestKey{}).(request)
	if r.value == nil {
		return kv.GetRaw(e.Context(), r.key)
	}
	return nil, kv.SetRaw(e.Context(), r.key, r.value)
}

func (f failsafes) call(ctx context.Context, r request) ([]byte, error) {
	return f.policies.WithContext(context.WithValue(ctx, requestKey{}, r)).
		GetWithExecution(func(e failsafe.Execution[[]byte]) ([]byte, error) { return ask(e, f.first) })
}

func (f failsafes) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return f.call(ctx, request{key: key})
}

func (f failsafes) SetRaw(ctx context.Context, key string, value []byte) error {
	_, err := f.call(ctx, request{key: key, value: value})
	return err
}
