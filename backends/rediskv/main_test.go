package rediskv

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// open opens a store on s that is closed at the test's end.
func open(tb testing.TB, s *servertest.Server, cfg Config) *KV {
	tb.Helper()
	kv, err := Open("redis://"+s.Addr(), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

// bare returns a client of the test's own with the driver's retries off.
func bare(tb testing.TB, s *servertest.Server) *redis.Client {
	tb.Helper()
	client := redis.NewClient(clientOptions(s))
	tb.Cleanup(func() { require.NoError(tb, client.Close()) })
	return client
}

func clientOptions(s *servertest.Server) *redis.Options {
	return &redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true}
}

// borrow returns a store on a client of its own.
func borrow(tb testing.TB, s *servertest.Server, cfg Config) *KV {
	tb.Helper()
	kv, err := New(bare(tb, s), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

var namespaceNumber atomic.Int64

// fresh returns a namespace that no other call has returned.
func fresh() string { return fmt.Sprintf("ns-%d", namespaceNumber.Add(1)) }

// operation is one method of a store.
type operation struct {
	name   string
	writes bool
	run    func(ctx context.Context, kv *KV) error
}

var operations = []operation{
	{"Get", false, func(ctx context.Context, kv *KV) error { _, err := kv.GetRaw(ctx, "key"); return err }},
	{"Set", true, func(ctx context.Context, kv *KV) error { return kv.SetRaw(ctx, "key", []byte("value")) }},
	{"Delete", true, func(ctx context.Context, kv *KV) error { return kv.Delete(ctx, "gone") }},
	{"List", false, func(ctx context.Context, kv *KV) error { _, err := kv.List(ctx, ""); return err }},
	{"Health", false, func(ctx context.Context, kv *KV) error { return kv.Health(ctx) }},
	{"BatchGet", false, func(ctx context.Context, kv *KV) error {
		_, err := kv.BatchGetRaw(ctx, []string{"key", "other"})
		return err
	}},
	{"BatchSet", true, func(ctx context.Context, kv *KV) error {
		return kv.BatchSetRaw(ctx, map[string][]byte{"key": []byte("value"), "other": nil})
	}},
	{"BatchDelete", true, func(ctx context.Context, kv *KV) error { return kv.BatchDelete(ctx, []string{"gone", "too"}) }},
}

// serves checks that every operation works.
func serves(tb testing.TB, kv *KV) {
	tb.Helper()
	require.NoError(tb, kv.SetRaw(tb.Context(), "key", []byte("value")))
	for _, o := range operations {
		require.NoError(tb, o.run(tb.Context(), kv), o.name)
	}
}
