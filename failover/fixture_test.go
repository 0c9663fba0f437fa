package failover_test

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

// rig is a group of memory stores behind fault switches, in a bubble.
type rig struct {
	t      *testing.T
	ctx    context.Context
	stores []*memkv.KV
	faults []*kvtest.Fault
	events *kvtest.Recorder
	kv     *failover.KV
}

// timeout is that of every member of a rig; its health is asked for every
// second, and every 100 ms while in doubt.
const timeout = time.Second

// inRig runs test on a group of n members, Mirror and Complete unless change
// says otherwise.
func inRig(t *testing.T, n int, change func(*failover.Config), test func(r *rig)) {
	inRigOf(t, n, change, nil, test)
}

// inRigOf is inRig with members that dress, unless it is nil, puts something
// around.
func inRigOf(t *testing.T, n int, change func(*failover.Config), dress func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, n, change, dress)
		defer func() {
			for _, f := range r.faults {
				f.Up()
			}
			_ = r.kv.Close() // says what is owed, which some tests leave
		}()
		test(r)
	})
}

// newRig makes a rig in a bubble; its test closes the group.
func newRig(t *testing.T, n int, change func(*failover.Config), dress func(i int, kv resilient.KVWithHealth) resilient.KVWithHealth) *rig {
	t.Helper()
	r := &rig{t: t, ctx: t.Context(), events: &kvtest.Recorder{}}
	cfg := failover.Config{
		Writes: failover.Mirror, Complete: true, Observer: r.events,
		Member: resilient.Config{
			Timeout: timeout,
			Breaker: breaker.Config{OpenFor: 200 * time.Millisecond},
			Probe: resilient.Probe{
				Interval: time.Second, FastInterval: 100 * time.Millisecond, DownInterval: 100 * time.Millisecond,
				MaxDownInterval: 100 * time.Millisecond, Timeout: time.Second,
			},
		},
	}
	if change != nil {
		change(&cfg)
	}
	members := make([]resilient.KVWithHealth, n)
	for i := range members {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		fault := kvtest.NewFault(kv)
		r.stores, r.faults = append(r.stores, kv), append(r.faults, fault)
		members[i] = fault
		if dress != nil {
			members[i] = dress(i, fault)
		}
	}
	kv, err := failover.New(cfg, members...)
	require.NoError(t, err)
	r.kv = kv
	time.Sleep(2 * time.Second) // first checks
	return r
}

// name returns what member i is called.
func (r *rig) name(i int) string { return []string{"mem", "mem-2", "mem-3"}[i] }

// set writes through the group and wants it acknowledged.
func (r *rig) set(key, value string) {
	r.t.Helper()
	require.NoError(r.t, r.kv.SetRaw(r.ctx, key, []byte(value)))
}

// wants that a read through the group gives value.
func (r *rig) reads(key, value string) {
	r.t.Helper()
	got, err := r.kv.GetRaw(r.ctx, key)
	require.NoError(r.t, err)
	require.Equal(r.t, value, string(got))
}

// holds wants that member i itself has value under key.
func (r *rig) holds(i int, key, value string) {
	r.t.Helper()
	got, err := r.stores[i].GetRaw(r.ctx, key)
	require.NoError(r.t, err)
	require.Equal(r.t, value, string(got))
}

// lacks wants that member i itself has no such key.
func (r *rig) lacks(i int, key string) {
	r.t.Helper()
	_, err := r.stores[i].GetRaw(r.ctx, key)
	require.ErrorIs(r.t, err, resilient.ErrNotFound)
}

// servedBy reads key through the group, which must have it, and returns who
// answered.
func (r *rig) servedBy(key string) string {
	r.t.Helper()
	var receipt resilient.Receipt
	_, err := r.kv.GetRaw(resilient.WithReceipt(r.ctx, &receipt), key)
	require.NoError(r.t, err)
	return receipt.Store
}

// state returns that of member i's breaker.
func (r *rig) state(i int) string { return r.kv.Status().Members[i].State }

// until waits for what ok reports.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.FailNow(r.t, "after ten minutes still not: "+what)
}

// away takes member i away until its breaker has noticed.
func (r *rig) away(i int) {
	r.t.Helper()
	r.faults[i].Down()
	r.until(r.name(i)+" is open", func() bool { return r.state(i) == "open" })
}

// back lets member i come back until its breaker has noticed.
func (r *rig) back(i int) {
	r.t.Helper()
	r.faults[i].Up()
	r.until(r.name(i)+" is closed", func() bool { return r.state(i) == "closed" })
}

// activates waits until member i is the active one.
func (r *rig) activates(i int) {
	r.t.Helper()
	r.until(r.name(i)+" is active", func() bool { return r.kv.Active() == r.name(i) })
}

// last returns the latest event of kind for which match holds.
func (r *rig) last(kind resilient.Kind, match func(resilient.Event) bool) resilient.Event {
	r.t.Helper()
	events := r.events.Of(kind)
	for i := len(events) - 1; i >= 0; i-- {
		if match(events[i]) {
			return events[i]
		}
	}
	require.FailNow(r.t, "no such event: "+kind.String())
	return resilient.Event{}
}

// held returns for how long after its return member i was held back the last
// time.
func (r *rig) held(i int) time.Duration {
	r.t.Helper()
	back := r.last(resilient.KindChange, func(e resilient.Event) bool { return e.Store == r.name(i) && e.To == "closed" })
	wanted := r.last(resilient.KindSwitch, func(e resilient.Event) bool { return e.To == r.name(i) })
	return wanted.Time.Sub(back.Time)
}

// unbreakable makes the members' breakers stay closed, so that nothing but the
// group's own judgement orders them.
func unbreakable(cfg *failover.Config) {
	cfg.Member.Breaker = breaker.Config{Failures: -1, Fall: -1, Rate: 1, MinCalls: 1 << 30}
}

// both makes two changes one.
func both(a, b func(*failover.Config)) func(*failover.Config) {
	return func(cfg *failover.Config) { a(cfg); b(cfg) }
}

// hooked is a store of which a test does some calls itself.
type hooked struct {
	resilient.KVWithHealth
	get    func(ctx context.Context, key string) ([]byte, error)
	set    func(ctx context.Context, key string, value []byte) error
	del    func(ctx context.Context, key string) error
	list   func(ctx context.Context, prefix string) ([]string, error)
	health func(ctx context.Context) error
	close  func() error
}

func (h *hooked) Unwrap() resilient.KVWithHealth { return h.KVWithHealth }

func (h *hooked) GetRaw(ctx context.Context, key string) ([]byte, error) {
	if h.get != nil {
		return h.get(ctx, key)
	}
	return h.KVWithHealth.GetRaw(ctx, key)
}

func (h *hooked) SetRaw(ctx context.Context, key string, value []byte) error {
	if h.set != nil {
		return h.set(ctx, key, value)
	}
	return h.KVWithHealth.SetRaw(ctx, key, value)
}

func (h *hooked) Delete(ctx context.Context, key string) error {
	if h.del != nil {
		return h.del(ctx, key)
	}
	return h.KVWithHealth.Delete(ctx, key)
}

func (h *hooked) List(ctx context.Context, prefix string) ([]string, error) {
	if h.list != nil {
		return h.list(ctx, prefix)
	}
	return h.KVWithHealth.List(ctx, prefix)
}

func (h *hooked) Health(ctx context.Context) error {
	if h.health != nil {
		return h.health(ctx)
	}
	return h.KVWithHealth.Health(ctx)
}

func (h *hooked) Close() error {
	if h.close != nil {
		return h.close()
	}
	return h.KVWithHealth.Close()
}

// rest waits until nothing is owed.
func (r *rig) rest() {
	r.t.Helper()
	for range 1000 {
		if len(r.kv.Owed()) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(r.t, r.kv.Owed(), "still owed after 100 s")
}

// took returns how long f takes on the bubble's clock.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
