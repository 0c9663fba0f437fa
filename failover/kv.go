package failover

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
	"github.com/holdfastkv/holdfast/resilient"
)

// KV is one store out of several, its members. It serves each call from the
// first member that can, and hands back to the others what they missed. It is
// safe for concurrent use.
type KV struct {
	cfg     Config
	peers   []*peer
	limits  resilient.Limits   // what every member takes
	check   func(string) error // says why some member does not take a key
	route   *route
	overlay *overlay
	backlog *backlog
	journal *shield
	seq     atomic.Uint64 // of the last record
	forgets forgetter

	unlocked gate // writes of PrimaryOnly, which hold no key's lock

	began      time.Time
	lastSwitch atomic.Pointer[switched]

	closing atomic.Bool
	ended   chan struct{} // closed when Close has run
	closed  error         // what it returns; read after ended

	ctx    context.Context // ends with Close: hand-back and what callers left
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines of the group
}

var (
	_ resilient.KVWithHealth = (*KV)(nil)
	_ resilient.Batcher      = (*KV)(nil)
	_ resilient.Limited      = (*KV)(nil)
	_ resilient.Reporter     = (*KV)(nil)
)

// New returns a group of members, the most wanted first. A member that is a
// *resilient.Store is used as it is; every other one is wrapped with
// Config.Member. The group owns its members: Close closes them (see
// resilient.KeepOpen). When New fails, they are left as they were, the error
// lists everything that is wrong, and Config.Journal is the caller's to close.
func New(cfg Config, members ...resilient.KVWithHealth) (*KV, error) {
	errs := append(cfg.faults(), memberFaults(members)...)
	if err := join(errs); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	f := &KV{
		cfg: cfg, backlog: newBacklog(len(members)), journal: newShield(cfg.Journal), began: time.Now(),
		forgets: forgetter{wake: make(chan struct{}, 1)}, ended: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.overlay = newOverlay(f.ctx.Done())
	if err := f.start(members); err != nil {
		f.cancel()
		return nil, err
	}
	return f, nil
}

// memberFaults returns everything that is wrong with the list of members.
func memberFaults(members []resilient.KVWithHealth) []error {
	var errs []error
	if len(members) == 0 {
		errs = append(errs, fmt.Errorf("failover: no members"))
	}
	if len(members) > maxMembers {
		errs = append(errs, fmt.Errorf("failover: %d members, at most %d", len(members), maxMembers))
	}
	seen := map[resilient.KV]int{} // the stores that are decorated in the end
	for i, m := range members {
		if isNil(m) {
			errs = append(errs, fmt.Errorf("failover: member %d is nil", i))
			continue
		}
		root := resilient.Root(m)
		if !hasIdentity(root) {
			continue
		}
		if first, twice := seen[root]; twice {
			errs = append(errs, fmt.Errorf("failover: members %d and %d are the same store", first, i))
			continue
		}
		seen[root] = i
	}
	return errs
}

// hasIdentity reports whether kv can be told from another store by comparing:
// pointers to types of no size may be equal though the stores are not the same.
// A type that has == may hold a value that has not, in a field of an interface.
func hasIdentity(kv resilient.KV) bool {
	if !reflect.ValueOf(kv).Comparable() {
		return false
	}
	t := reflect.TypeOf(kv)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Size() > 0
}

// isNil reports whether kv is nil or a typed nil.
func isNil(kv resilient.KVWithHealth) bool {
	if kv == nil {
		return true
	}
	v := reflect.ValueOf(kv)
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice, reflect.Interface:
		return v.IsNil()
	}
	return false
}

// start makes Stores of the members, joins them and starts the hand-back. If
// it fails, nothing of it is left.
func (f *KV) start(members []resilient.KVWithHealth) (err error) {
	names, errs := memberNames(members)
	if err := join(errs); err != nil {
		return err
	}
	for i, name := range names {
		f.peers = append(f.peers, newPeer(i, name, i == 0 || f.cfg.Complete || planted("handcomplete")))
	}
	f.route = newRoute(f.cfg.Failback, f.peers, f.tellSwitch)

	var made []*resilient.Store // by us
	defer func() {
		if err == nil {
			return
		}
		f.route.close()
		for _, p := range f.peers {
			if p.m != nil {
				p.m.Leave()
			}
		}
		for _, s := range made {
			err = join([]error{err, s.Close()})
		}
	}()
	for i, kv := range members {
		s, ok := kv.(*resilient.Store)
		if !ok {
			cfg := f.cfg.Member
			cfg.Name = names[i]
			if s, err = resilient.Wrap(resilient.KeepOpen(kv), cfg); err != nil {
				errs = append(errs, fmt.Errorf("failover: member %s: %w", names[i], err))
				continue
			}
			made = append(made, s)
			f.peers[i].bare = kv
		}
		if err := f.join(f.peers[i], s); err != nil {
			errs = append(errs, fmt.Errorf("failover: member %s: %w", names[i], err))
		}
	}
	if err := join(errs); err != nil {
		return err
	}
	left, err := f.journal.Open(names)
	if err != nil {
		return err
	}
	if err := f.takeOver(left); err != nil {
		return join([]error{err, f.journal.Close(left.Clean)})
	}
	f.takeLimits()
	f.work.Go(f.forget)
	for _, p := range f.peers {
		f.work.Go(func() { f.attend(p) })
	}
	return nil
}

// join makes s the member p.
func (f *KV) join(p *peer, s *resilient.Store) error {
	m, err := s.Join(f.cfg.Name, resilient.Hooks{
		Name: p.name,
		Changed: func(c breaker.Change) {
			f.route.moved(p.i, c)
			p.nudge()
		},
		Checked: func(began time.Time, c resilient.Check) { f.checked(p, began, c) },
	})
	if err != nil {
		return err
	}
	p.m = m
	p.joined()
	// The breaker may change while it is asked, and the hook have told the route
	// of that already: what was read is put right until it is what is.
	for told := breaker.Closed; ; {
		state := s.State()
		if state == told {
			return nil
		}
		f.route.moved(p.i, breaker.Change{To: state, Reason: s.Status().Reason})
		told = state
	}
}

// takeLimits makes the group's limits those that every member can keep.
func (f *KV) takeLimits() {
	var checks []func(string) error
	usual := false
	for _, p := range f.peers {
		l := p.m.Store().Limits()
		f.limits.MaxKey = lesser(f.limits.MaxKey, l.MaxKey)
		f.limits.MaxValue = lesser(f.limits.MaxValue, l.MaxValue)
		if check := p.m.Keys(); check != nil {
			checks = append(checks, check)
		} else {
			usual = true
		}
	}
	if usual {
		checks = append(checks, resilient.CheckKey)
	}
	f.check = keyCheck(checks, f.limits.MaxKey)
}

// keyCheck returns a function that says why one of checks does not take a key,
// or that it is longer than longest; 0 = no bound.
func keyCheck(checks []func(string) error, longest int) func(string) error {
	if len(checks) == 1 && longest == 0 {
		return checks[0]
	}
	return func(key string) error {
		if longest > 0 && len(key) > longest {
			return resilient.ErrKeyTooLarge
		}
		for _, check := range checks {
			if err := check(key); err != nil {
				return err
			}
		}
		return nil
	}
}

// lesser returns the smaller of two limits of which 0 is none.
func lesser(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Limits returns what every member takes; 0 is unknown.
func (f *KV) Limits() resilient.Limits { return f.limits }
