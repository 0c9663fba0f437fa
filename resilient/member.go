package resilient

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfastkv/holdfast/breaker"
)

// Member is a Store's place in a group of stores: the group calls it through
// the same breaker, timeouts and retries, but has checked keys and values
// itself and tells for itself how a call ended. So a Member checks neither,
// gives no Done event and writes no Receipt. Package failover makes Members;
// all methods are safe for concurrent use.
type Member struct {
	store *Store
	group string
	hooks Hooks
}

// Hooks are what a group wants to know of a member. They are called on any
// goroutine, with no lock held; a panic in one is contained.
type Hooks struct {
	// Name is what the group calls the store, in events; "" = its own name.
	Name string
	// Changed is told each change of the breaker, in order.
	Changed func(breaker.Change)
	// Checked is told each health check that ended with a verdict, and when
	// it began; c.Err is nil if the store is healthy.
	Checked func(began time.Time, c Check)
}

// Join makes s a member of group, whose name its events carry from then on. It
// is an error if s is in a group already, and ErrClosed if it is closed.
func (s *Store) Join(group string, h Hooks) (*Member, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("resilient: store %q cannot join group %q: %w", s.cfg.Name, group, ErrClosed)
	}
	m := &Member{store: s, group: group, hooks: h}
	for !s.member.CompareAndSwap(nil, m) {
		if in := s.member.Load(); in != nil {
			return nil, fmt.Errorf("resilient: store %q cannot join group %q: it is in group %q already", s.cfg.Name, group, in.group)
		}
	}
	return m, nil
}

// Leave undoes Join. No hook is called for what happens afterwards.
func (m *Member) Leave() { m.store.member.CompareAndSwap(m, nil) }

// Store returns the Store.
func (m *Member) Store() *Store { return m.store }

// Timeout returns how long one attempt of op may take; 0 = for ever.
func (m *Member) Timeout(op Op) time.Duration { return m.store.cfg.timeout(op) }

// Keys returns Config.Keys, which decides whether the Store takes a key; nil
// where CheckKey does.
func (m *Member) Keys() func(string) error { return m.store.cfg.Keys }

// GetRaw is the Store's, without its checks, Done event and Receipt.
func (m *Member) GetRaw(ctx context.Context, key string) ([]byte, error) {
	return m.store.get(ctx, &request{op: OpGet}, key)
}

// SetRaw is the Store's, without its checks, Done event and Receipt.
func (m *Member) SetRaw(ctx context.Context, key string, value []byte) error {
	return m.store.set(ctx, &request{op: OpSet}, key, value)
}

// Delete is the Store's, without its checks, Done event and Receipt.
func (m *Member) Delete(ctx context.Context, key string) error {
	return m.store.remove(ctx, &request{op: OpDelete}, key)
}

// List is the Store's, without its Done event and Receipt.
func (m *Member) List(ctx context.Context, prefix string) ([]string, error) {
	return m.store.list(ctx, &request{op: OpList}, prefix)
}

// BatchGetRaw is the Store's, without its checks, Done event and Receipt.
func (m *Member) BatchGetRaw(ctx context.Context, keys []string) (map[string][]byte, error) {
	return m.store.batchGet(ctx, &request{op: OpBatchGet}, keys)
}

// BatchSetRaw is the Store's, without its checks, Done event and Receipt.
func (m *Member) BatchSetRaw(ctx context.Context, kv map[string][]byte) error {
	return m.store.batchSet(ctx, &request{op: OpBatchSet}, kv)
}

// BatchDelete is the Store's, without its checks, Done event and Receipt.
func (m *Member) BatchDelete(ctx context.Context, keys []string) error {
	return m.store.batchRemove(ctx, &request{op: OpBatchDelete}, keys)
}
