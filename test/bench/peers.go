package main

import (
	"context"
	"errors"
	"time"

	eapache "github.com/eapache/go-resiliency/breaker"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
)

// constant is a store that answers every call at once without allocating, so
// that what is measured is what guards it. With an error it answers that.
type constant struct {
	value []byte
	err   error
}

func (c *constant) GetRaw(context.Context, string) ([]byte, error) { return c.value, c.err }
func (c *constant) SetRaw(context.Context, string, []byte) error   { return c.err }
func (c *constant) Delete(context.Context, string) error           { return c.err }
func (c *constant) List(context.Context, string) ([]string, error) { return []string{}, c.err }
func (c *constant) Health(context.Context) error                   { return c.err }
func (c *constant) Close() error                                   { return nil }

func newConstant() *constant { return &constant{value: []byte("value")} }

var errDown = errors.New("the store is down")

// key is the one that calls are about.
const key = "user:00000042:profile"

// getOf returns the way to get the key from kv.
func getOf(name string, kv resilient.KV) way {
	return way{name: name, call: func(ctx context.Context) error { _, err := kv.GetRaw(ctx, key); return err }}
}

// store guards kv until the end of the run.
func (b *bench) store(kv resilient.KVWithHealth, cfg resilient.Config) *resilient.Store {
	b.tb.Helper()
	s, err := resilient.Wrap(kv, cfg)
	b.must(err)
	b.closing(s.Close)
	return s
}

// group makes a group until the end of the run.
func (b *bench) group(cfg failover.Config, members ...resilient.KVWithHealth) *failover.KV {
	b.tb.Helper()
	kv, err := failover.New(cfg, members...)
	b.must(err)
	b.closing(kv.Close)
	return kv
}

// observed returns cfg with an observer that counts for Prometheus.
func (b *bench) observed(cfg resilient.Config) resilient.Config {
	b.tb.Helper()
	o, err := kvprom.New(prometheus.NewRegistry())
	b.must(err)
	b.closing(o.Close)
	cfg.Observer = o
	return cfg
}

// untimed has no timeout, so that a caller without a deadline gets none.
var untimed = resilient.Config{Timeout: -1}

// mirror is of two full copies.
func mirror(member resilient.Config) failover.Config {
	return failover.Config{Writes: failover.Mirror, Complete: true, Member: member}
}

// guards are the ways to guard one store that is well. What has no notion of a
// health check or of a miss is not given one.
func (b *bench) guards() []way {
	kv := newConstant()
	var (
		gb    = gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{})
		fs    = circuitbreaker.NewWithDefaults[[]byte]()
		retry = retrypolicy.NewWithDefaults[[]byte]()
		limit = timeout.New[[]byte](2 * time.Second)
		eap   = eapache.New(5, 2, time.Second)
		noKV  = resilient.KV(kv)
	)
	composed := func(policies ...failsafe.Policy[[]byte]) func(ctx context.Context) error {
		all := failsafe.With(policies...)
		return func(ctx context.Context) error {
			_, err := all.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[[]byte]) ([]byte, error) {
				return noKV.GetRaw(e.Context(), key)
			})
			return err
		}
	}
	return []way{
		getOf(bareCall, noKV),
		getOf(storeCall, b.store(kv, untimed)),
		getOf(storeTimed, b.store(kv, resilient.Config{})),
		getOf(storeTimed+", kvprom", b.store(kv, b.observed(resilient.Config{}))),
		getOf(groupCall, b.group(mirror(untimed), newConstant(), newConstant())),
		getOf(groupTimed, b.group(mirror(resilient.Config{}), newConstant(), newConstant())),
		{name: gobreakerCall, call: func(ctx context.Context) error {
			_, err := gb.Execute(func() ([]byte, error) { return noKV.GetRaw(ctx, key) })
			return err
		}},
		{name: "go-resiliency: breaker", call: func(ctx context.Context) error {
			return eap.Run(func() error { _, err := noKV.GetRaw(ctx, key); return err })
		}},
		{name: failsafeCall, call: composed(fs)},
		{name: failsafeRetry, call: composed(retry, fs)},
		{name: failsafeRetry + " + timeout", call: composed(retry, fs, limit)},
		{name: timeoutAlone, call: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			_, err := noKV.GetRaw(ctx, key)
			return err
		}},
	}
}

// Names of ways that targets are about.
const (
	bareCall      = "bare"
	storeCall     = "`Store`, `Timeout: -1`"
	storeTimed    = "`Store`, default timeout"
	groupCall     = "`failover` of two, `Timeout: -1`"
	groupTimed    = "`failover` of two, default timeout"
	gobreakerCall = "gobreaker: `Execute`"
	failsafeCall  = "failsafe-go: breaker"
	failsafeRetry = "failsafe-go: retry + breaker"
	timeoutAlone  = "`context.WithTimeout` alone"
)

// refusals are the ways to be refused by an open breaker.
func (b *bench) refusals() []way {
	ours := b.store(newConstant(), untimed)
	b.must(ours.Breaker().Force(breaker.Open, "benchmark"))
	alone, err := breaker.New(breaker.Config{})
	b.must(err)
	b.tb.Cleanup(alone.Close)
	b.must(alone.Force(breaker.Open, "benchmark"))
	gb := gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{
		Timeout: time.Hour, ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = gb.Execute(func() ([]byte, error) { return nil, errDown })
	fs := circuitbreaker.NewBuilder[[]byte]().WithDelay(time.Hour).Build()
	fs.Open()
	open := failsafe.With[[]byte](fs)
	eap := eapache.New(1, 1, time.Hour)
	_ = eap.Run(func() error { return errDown })
	ways := []way{
		{name: breakerRefused, call: func(context.Context) error { _, err := alone.Allow(); return err }},
		getOf(storeRefused, ours),
		{name: gobreakerCall, call: func(context.Context) error {
			_, err := gb.Execute(func() ([]byte, error) { return nil, nil })
			return err
		}},
		{name: "go-resiliency: breaker", call: func(context.Context) error { return eap.Run(func() error { return nil }) }},
		{name: failsafeCall, call: func(ctx context.Context) error {
			_, err := open.WithContext(ctx).Get(func() ([]byte, error) { return nil, nil })
			return err
		}},
	}
	for i := range ways {
		ways[i].refused = true
	}
	return ways
}

// Names of ways to be refused that targets are about.
const (
	breakerRefused = "`Breaker.Allow`"
	storeRefused   = "`Store`"
)

// detours are the ways to a second store while the first one is known to be
// away.
func (b *bench) detours() []way {
	down, up := &constant{err: errDown}, newConstant()
	var second resilient.KV = up
	opened := func(cfg resilient.Config) *resilient.Store {
		s := b.store(down, cfg)
		b.must(s.Breaker().Force(breaker.Open, "benchmark"))
		return s
	}
	gb := gobreaker.NewCircuitBreaker[[]byte](gobreaker.Settings{
		Timeout: time.Hour, ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = gb.Execute(func() ([]byte, error) { return nil, errDown })
	fs := circuitbreaker.NewBuilder[[]byte]().WithDelay(time.Hour).Build()
	fs.Open()
	either := failsafe.With(fallback.NewWithFunc(func(e failsafe.Execution[[]byte]) ([]byte, error) {
		return second.GetRaw(e.Context(), key)
	}), failsafe.Policy[[]byte](fs))
	return []way{
		getOf("the second store, bare", second),
		getOf(groupCall, b.group(mirror(untimed), opened(untimed), newConstant())),
		getOf(groupTimed, b.group(mirror(resilient.Config{}), opened(resilient.Config{}), newConstant())),
		{name: "health check before each call", call: func(ctx context.Context) error {
			if down.Health(ctx) != nil {
				_, err := second.GetRaw(ctx, key)
				return err
			}
			_, err := down.GetRaw(ctx, key)
			return err
		}},
		{name: "gobreaker, then the second by hand", call: func(ctx context.Context) error {
			_, err := gb.Execute(func() ([]byte, error) { return down.GetRaw(ctx, key) })
			if err != nil {
				_, err = second.GetRaw(ctx, key)
			}
			return err
		}},
		{name: "failsafe-go: fallback + breaker", call: func(ctx context.Context) error {
			_, err := either.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[[]byte]) ([]byte, error) {
				return down.GetRaw(e.Context(), key)
			})
			return err
		}},
	}
}
