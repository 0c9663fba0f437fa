package outagetest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/failover"
	"github.com/holdfastkv/holdfast/resilient"
	"github.com/holdfastkv/holdfast/resilient/kvtest"
)

// Canary is in every key, value and error text of the outage.
const Canary = "CANARY-7c2f"

// Outage is the group "orders" of the stores "first" and "second", with a cache
// around it, and the store "solo" in no group.
type Outage struct {
	Group *failover.KV
	Solo  *resilient.Store

	t             *testing.T
	cached        *failover.Cached
	first, second *kvtest.Fault
	lone          *kvtest.Fault
	guarded       *resilient.Store // first
}

// New makes the stores in a bubble, told to o. The test's end closes them.
func New(t *testing.T, o resilient.Observer) *Outage {
	t.Helper()
	u := &Outage{t: t, first: fault(t), second: fault(t), lone: fault(t)}
	first, second := wrap(t, u.first, "first", o), wrap(t, u.second, "second", o)
	u.guarded = first
	u.Solo = wrap(t, u.lone, "solo", o)
	var err error
	u.Group, err = failover.New(failover.Config{Name: "orders", Writes: failover.Mirror, Complete: true, Observer: o}, first, second)
	require.NoError(t, err)
	cache, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	u.cached, err = failover.WithCache(u.Group, cache, failover.CacheConfig{Observer: o})
	require.NoError(t, err)
	return u
}

// Reporters returns what has a status.
func (u *Outage) Reporters() []resilient.Reporter { return []resilient.Reporter{u.Group, u.Solo} }

func fault(t *testing.T) *kvtest.Fault {
	t.Helper()
	kv, err := memkv.New(memkv.Config{})
	require.NoError(t, err)
	f := kvtest.NewFault(kv)
	f.Latency(time.Millisecond) // the first check ends when its store is in its group
	return f
}

// wrap guards kv. Its retries follow at once: their delay is left to chance.
func wrap(t *testing.T, kv resilient.KVWithHealth, name string, o resilient.Observer) *resilient.Store {
	t.Helper()
	cfg := resilient.Config{
		Name: name, Timeout: time.Second, Observer: o,
		Breaker: breaker.Config{OpenFor: time.Second},
		Probe: resilient.Probe{ // at other moments than a group's looks at what it owes, every 250 ms
			Interval: 5 * time.Second, FastInterval: 1100 * time.Millisecond,
			DownInterval: 2 * time.Second, MaxDownInterval: 2 * time.Second, Jitter: -1,
		},
	}
	if name == "solo" {
		cfg.MaxInFlight, cfg.Retry = 1, resilient.Retry{Attempts: 2, Base: 1}
	}
	s, err := resilient.Wrap(kv, cfg)
	require.NoError(t, err)
	return s
}

// act is one part of the script.
type act struct {
	name string
	play func(u *Outage)
}

// Play plays the script and tells of each act when it has ended; then it closes
// everything.
func (u *Outage) Play(ended func(act string)) {
	u.t.Helper()
	for _, a := range script {
		time.Sleep(37 * time.Millisecond) // not when a check is made
		a.play(u)
		synctest.Wait()
		ended(a.name)
	}
	require.NoError(u.t, u.Solo.Close())
	require.NoError(u.t, u.cached.Close())
}

var script = []act{
	{"all is well", func(u *Outage) {
		u.first.Up()
		u.second.Up()
		u.lone.Up()
		u.set("a", nil)
		u.set("old", nil)
		u.get("a", nil)
		u.get("absent", resilient.ErrNotFound)
		u.set("", resilient.ErrEmptyKey)
		time.Sleep(time.Second) // the cache is filled
	}},
	{"first is down", func(u *Outage) {
		u.first.Down()
		u.set("a", nil) // owed to first
		u.set("b", nil)
		u.get("a", nil)
		time.Sleep(5 * time.Second)
		u.get("b", nil)
		u.set("b", nil)
	}},
	{"second is down too", func(u *Outage) {
		u.second.Down()
		time.Sleep(10 * time.Second)
		u.get("a", nil)   // what is owed is known to the group
		u.get("old", nil) // stale
		u.set("d", resilient.ErrRefused)
	}},
	{"both are back", func(u *Outage) {
		u.first.Up()
		u.second.Up()
		time.Sleep(time.Minute)
		u.get("b", nil)
	}},
	{"second is drained, and what it is owed is given up", func(u *Outage) {
		require.NoError(u.t, u.Group.Drain("second"))
		u.set("e", nil)
		lost, err := u.Group.Discard("second")
		require.NoError(u.t, err)
		require.Equal(u.t, 1, lost)
		require.NoError(u.t, u.Group.Release("second"))
		time.Sleep(time.Second)
	}},
	{"first is forced open, and released", func(u *Outage) {
		require.NoError(u.t, u.guarded.Breaker().Force(breaker.Open, "maintenance"))
		time.Sleep(time.Second)
		u.get("a", nil)
		u.guarded.Breaker().Release()
		time.Sleep(time.Minute)
	}},
	{"solo panics, hangs and is busy", func(u *Outage) {
		u.lone.PanicNext(1)
		u.ask(nil) // the second attempt is good
		u.lone.Hang()
		done := make(chan struct{})
		go func() {
			defer close(done)
			u.ask(resilient.ErrTimeout)
		}()
		time.Sleep(10 * time.Millisecond)
		u.ask(resilient.ErrBusy)
		<-done
		time.Sleep(pause)
		u.lone.Up() // the health check was slow
		time.Sleep(20 * time.Second)
	}},
	{"solo is full of secrets", func(u *Outage) {
		u.lone.FailWrites(errSecret{})
		err := u.Solo.SetRaw(u.t.Context(), Canary, []byte(Canary))
		require.ErrorContains(u.t, err, Canary, "the caller is told what the store said")
		u.lone.Unhealthy(errSecret{})
		time.Sleep(20 * time.Second)
		u.lone.Up()
		time.Sleep(20 * time.Second)
	}},
}

// errSecret is an error such as drivers make: it says what it was about.
type errSecret struct{}

func (errSecret) Error() string { return "duplicate entry " + Canary + " at host " + Canary }

// pause keeps calls apart.
const pause = 11 * time.Millisecond

// set writes through the cache and wants an error that matches want.
func (u *Outage) set(key string, want error) {
	u.t.Helper()
	time.Sleep(pause)
	if key != "" {
		key = Canary + key
	}
	u.wants(want, u.cached.SetRaw(u.t.Context(), key, []byte(Canary)))
}

// get reads through the cache and wants an error that matches want.
func (u *Outage) get(key string, want error) {
	u.t.Helper()
	time.Sleep(pause)
	_, err := u.cached.GetRaw(u.t.Context(), Canary+key)
	u.wants(want, err)
}

// ask reads from solo and wants an error that matches want.
func (u *Outage) ask(want error) {
	u.t.Helper()
	_, err := u.Solo.GetRaw(context.Background(), Canary)
	if want == nil {
		want = resilient.ErrNotFound
	}
	u.wants(want, err)
}

func (u *Outage) wants(want, err error) {
	u.t.Helper()
	if want == nil {
		require.NoError(u.t, err)
		return
	}
	require.ErrorIs(u.t, err, want)
}
