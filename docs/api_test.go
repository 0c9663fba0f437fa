package docs_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/metric"

	"github.com/holdfastkv/holdfast/backends/badgerkv"
	"github.com/holdfastkv/holdfast/backends/boltkv"
	"github.com/holdfastkv/holdfast/backends/consulkv"
	"github.com/holdfastkv/holdfast/backends/etcdkv"
	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/backends/mongokv"
	"github.com/holdfastkv/holdfast/backends/mysqlkv"
	"github.com/holdfastkv/holdfast/backends/postgreskv"
	"github.com/holdfastkv/holdfast/backends/rediskv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/failover/boltjournal"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvotel"
	"github.com/holdfastkv/holdfast/resilient/kvprom"
	"github.com/holdfastkv/holdfast/resilient/kvslog"
	"github.com/holdfastkv/holdfast/resilient/kvstatus"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// What programs outside of this repository are written against: that this file
// compiles is the test. Fields and constants may be added; what is here stays.

type (
	ctxT = context.Context
	kvh  = resilient.KVWithHealth
)

var (
	_ func(resilient.KV) kvh                                   = resilient.NoHealth
	_ func(kvh, int) kvh                                       = resilient.Detach
	_ func(kvh) kvh                                            = resilient.KeepOpen
	_ func(error) resilient.Class                              = resilient.DefaultClassify
	_ func(...error) func(error) resilient.Class               = resilient.NotFoundIs
	_                                                          = []error{resilient.ErrNotFound, resilient.ErrEmptyKey, resilient.ErrInvalidKey, resilient.ErrKeyTooLarge, resilient.ErrValueTooLarge, resilient.ErrClosed, resilient.ErrUnavailable, resilient.ErrRefused, resilient.ErrAmbiguous, resilient.ErrBusy, resilient.ErrHealthUnknown, resilient.ErrTimeout, resilient.ErrSuperseded}
	_                                                          = []resilient.Class{resilient.OK, resilient.Missing, resilient.Invalid, resilient.Canceled, resilient.Conflict, resilient.Refused, resilient.Failed}
	_                                                          = resilient.Error{Op: resilient.OpGet, Store: "", Class: 0, Attempts: 0, Err: nil}
	_                                                          = []resilient.Op{resilient.OpGet, resilient.OpSet, resilient.OpDelete, resilient.OpList, resilient.OpBatchGet, resilient.OpBatchSet, resilient.OpBatchDelete, resilient.OpHealth}
	_                                                          = resilient.Config{Name: "", Timeout: 0, LongTimeout: 0, Retry: resilient.Retry{Attempts: 0, Base: 0, Max: 0, Budget: 0, AmbiguousWrites: false}, MaxInFlight: 0, Keys: nil, Breaker: breaker.Config{}, Probe: resilient.Probe{Interval: 0, FastInterval: 0, DownInterval: 0, MaxDownInterval: 0, Timeout: 0, SlowAfter: 0, Jitter: 0}, Classify: nil, NotFound: nil, Observer: nil}
	_ func(kvh, resilient.Config) (*resilient.Store, error)    = resilient.Wrap
	_ func(*resilient.Store) string                            = (*resilient.Store).Name
	_ func(*resilient.Store) breaker.State                     = (*resilient.Store).State
	_ func(*resilient.Store) resilient.Status                  = (*resilient.Store).Status
	_ func(*resilient.Store) *breaker.Breaker                  = (*resilient.Store).Breaker
	_ func(*resilient.Store) kvh                               = (*resilient.Store).Unwrap
	_ interface{ kvhBatch }                                    = (*resilient.Store)(nil)
	_ interface{ kvhBatch }                                    = (*failover.KV)(nil)
	_ interface{ kvhBatch }                                    = (*failover.Cached)(nil)
	_                                                          = resilient.Event{Kind: resilient.KindCall, Time: time.Time{}, Group: "", Store: "", Op: 0, Class: 0, Duration: 0, Age: 0, Attempt: 0, Count: 0, Slow: false, Degraded: false, Stale: false, Back: false, Nobody: false, Ambiguous: false, From: "", To: "", Reason: "", Err: nil}
	_                                                          = []resilient.Kind{resilient.KindCall, resilient.KindDone, resilient.KindProbe, resilient.KindChange, resilient.KindSwitch, resilient.KindOwed, resilient.KindHandedBack, resilient.KindStale, resilient.KindLost}
	_ func(...resilient.Observer) resilient.Observer           = resilient.Tee
	_                                                          = resilient.Status{Name: "", Kind: "", Condition: resilient.Unknown, State: "", Since: time.Time{}, Reason: "", LastProbe: resilient.Check{Time: time.Time{}, Latency: 0, Slow: false, Err: nil}, Active: "", Owed: 0, OwedBytes: int64(0), OldestOwed: time.Time{}, InFlight: 0, Members: []resilient.Status{}}
	_                                                          = []resilient.Condition{resilient.Up, resilient.Degraded, resilient.Down}
	_ func(ctxT, kvh) resilient.Check                          = resilient.CheckHealth
	_ func(ctxT, kvh, resilient.Probe, func(resilient.Check))  = resilient.Watch
	_ func(resilient.Group, ctxT) map[string]resilient.Check   = resilient.Group.CheckAll
	_ func(resilient.Group, ctxT) bool                         = resilient.Group.AllHealthy
	_                                                          = resilient.Group(map[string]kvh{})
	_                                                          = resilient.Receipt{Store: "", Owed: 0, Degraded: false, Stale: false, Age: 0}
	_ func(ctxT, *resilient.Receipt) ctxT                      = resilient.WithReceipt
	_ resilient.Codec                                          = resilient.JSON
	_ func(resilient.KV, resilient.Codec) resilient.Typed[int] = resilient.Of[int]
	_ func(resilient.Typed[int], ctxT, string) (int, error)    = resilient.Typed[int].Get
	_ func(resilient.Typed[int], ctxT, string, int) error      = resilient.Typed[int].Set

	_                                                     = []breaker.State{breaker.Closed, breaker.HalfOpen, breaker.Open}
	_                                                     = []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}
	_                                                     = breaker.Config{Failures: 0, Rate: 0, MinCalls: 0, Window: 0, Fall: 0, Rise: 0, Trials: 0, OpenFor: 0, MaxOpenFor: 0, StableFor: 0, OnChange: nil}
	_                                                     = breaker.Change{From: 0, To: 0, Reason: "", Err: nil, At: time.Time{}, Generation: uint64(0), OpenFor: 0}
	_ func(breaker.Config) (*breaker.Breaker, error)      = breaker.New
	_ func(*breaker.Breaker) (breaker.Permit, error)      = (*breaker.Breaker).Allow
	_ func(*breaker.Permit, breaker.Outcome, error)       = (*breaker.Permit).Done
	_ func(*breaker.Breaker, error)                       = (*breaker.Breaker).ReportHealth
	_ func(*breaker.Breaker) breaker.State                = (*breaker.Breaker).State
	_ func(*breaker.Breaker) breaker.Status               = (*breaker.Breaker).Status
	_ func(*breaker.Breaker, breaker.State, string) error = (*breaker.Breaker).Force
	_ func(*breaker.Breaker)                              = (*breaker.Breaker).Release
	_ func(*breaker.Breaker)                              = (*breaker.Breaker).Close
	_                                                     = breaker.OpenError{Since: time.Time{}, RetryAfter: 0, Reason: ""}
	_                                                     = breaker.ErrOpen

	_                                                                         = []failover.Writes{failover.Handoff, failover.Mirror, failover.MirrorStrict, failover.PrimaryOnly}
	_                                                                         = failover.Config{Name: "", Writes: 0, Journal: nil, Failback: failover.Failback{After: 0, MaxAfter: 0, Manual: false}, Member: resilient.Config{}, Complete: false, Straggle: 0, Observer: nil}
	_ func(failover.Config, ...kvh) (*failover.KV, error)                     = failover.New
	_ func(*failover.KV) string                                               = (*failover.KV).Active
	_ func(*failover.KV) map[string]int                                       = (*failover.KV).Owed
	_ func(*failover.KV, ctxT) error                                          = (*failover.KV).Flush
	_ func(*failover.KV, string) error                                        = (*failover.KV).Drain
	_ func(*failover.KV, string) error                                        = (*failover.KV).Release
	_ func(*failover.KV, ctxT) error                                          = (*failover.KV).Failback
	_ func(*failover.KV, ctxT, string, func(int)) error                       = (*failover.KV).Rebuild
	_ func(*failover.KV, string) (int, error)                                 = (*failover.KV).Discard
	_                                                                         = failover.Error{Op: 0, Class: 0, Members: []*resilient.Error{}}
	_                                                                         = []error{failover.ErrUncertain, failover.ErrReadOnly, failover.ErrJournalFull, failover.ErrOwed}
	_ func(int) failover.Journal                                              = failover.MemoryJournal
	_                                                                         = failover.CacheConfig{MaxStale: 0, FillEvery: 0, MaxValue: 0, Observer: nil}
	_ func(kvh, resilient.KV, failover.CacheConfig) (*failover.Cached, error) = failover.WithCache
	_ func(string, boltjournal.Config) (failover.Journal, error)              = boltjournal.Open
	_                                                                         = boltjournal.Config{MaxKeys: 0, MaxBytes: int64(0), LockTimeout: 0, NoSync: false}

	_ func(string, boltkv.Config) (*boltkv.KV, error)         = boltkv.Open
	_ func(*bbolt.DB, boltkv.Config) (*boltkv.KV, error)      = boltkv.New
	_ func(string, badgerkv.Config) (*badgerkv.KV, error)     = badgerkv.Open
	_ func(string, rediskv.Config) (*rediskv.KV, error)       = rediskv.Open
	_ func(string, postgreskv.Config) (*postgreskv.KV, error) = postgreskv.Open
	_ func(string, mysqlkv.Config) (*mysqlkv.KV, error)       = mysqlkv.Open
	_ func(string, mongokv.Config) (*mongokv.KV, error)       = mongokv.Open
	_ func([]string, etcdkv.Config) (*etcdkv.KV, error)       = etcdkv.Open
	_ func(string, consulkv.Config) (*consulkv.KV, error)     = consulkv.Open
	_ func(memkv.Config) (*memkv.KV, error)                   = memkv.New

	_                                  = kvtest.Harness{Open: func(testing.TB) kvh { return nil }, Reopen: nil, Atomic: false, SkipKeys: func(string) bool { return false }}
	_ func(*testing.T, kvtest.Harness) = kvtest.Run
	_ func(*testing.B, kvtest.Harness) = kvtest.RunBenchmarks
	_ func(kvh) *kvtest.Fault          = kvtest.NewFault
	_ interface {
		Down()
		Up()
		Hang()
		Latency(time.Duration)
		FailWrites(error)
		AckLost(int)
		Unhealthy(error)
	} = (*kvtest.Fault)(nil)
	_ func(*slog.Logger) *kvslog.Observer                   = kvslog.New
	_ func(prometheus.Registerer) (*kvprom.Observer, error) = kvprom.New
	_ func(metric.MeterProvider) (*kvotel.Observer, error)  = kvotel.New
	_ func(kvstatus.Config) *kvstatus.Page                  = kvstatus.New
	_ http.Handler                                          = (*kvstatus.Page)(nil)
	_ resilient.Observer                                    = (*kvstatus.Page)(nil)
	_ interface{ Watch(...resilient.Reporter) }             = (*kvstatus.Page)(nil)
	_ interface{ Watch(...resilient.Reporter) }             = (*kvprom.Observer)(nil)
	_ interface{ Watch(...resilient.Reporter) }             = (*kvotel.Observer)(nil)
)

type kvhBatch interface {
	resilient.KVWithHealth
	resilient.Batcher
}
