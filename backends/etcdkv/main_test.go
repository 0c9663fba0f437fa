package etcdkv

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// open opens a store on servers that the test ends with.
func open(tb testing.TB, cfg Config, servers ...*servertest.Server) *KV {
	tb.Helper()
	kv, err := Open(addrs(servers...), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

func addrs(servers ...*servertest.Server) (all []string) {
	for _, s := range servers {
		all = append(all, s.Addr())
	}
	return all
}

// driver returns a client of the test's own.
func driver(tb testing.TB, cfg clientv3.Config, servers ...*servertest.Server) *clientv3.Client {
	tb.Helper()
	cfg.Endpoints, cfg.Logger = addrs(servers...), zap.NewNop()
	client, err := clientv3.New(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// operation is one call of a store.
type operation struct {
	name   string
	writes bool
	call   func(ctx context.Context) error
}

// operations returns every operation of kv that can reach a server.
func operations(kv *KV) []operation {
	return []operation{
		{"GetRaw", false, func(ctx context.Context) error { return ignoreMiss(second(kv.GetRaw(ctx, "key"))) }},
		{"SetRaw", true, func(ctx context.Context) error { return kv.SetRaw(ctx, "key", []byte("value")) }},
		{"Delete", true, func(ctx context.Context) error { return kv.Delete(ctx, "key") }},
		{"List", false, func(ctx context.Context) error { return second(kv.List(ctx, "k")) }},
		{"BatchGetRaw", false, func(ctx context.Context) error { return second(kv.BatchGetRaw(ctx, []string{"key"})) }},
		{"BatchSetRaw", true, func(ctx context.Context) error {
			return kv.BatchSetRaw(ctx, map[string][]byte{"key": []byte("value")})
		}},
		{"BatchDelete", true, func(ctx context.Context) error { return kv.BatchDelete(ctx, []string{"key"}) }},
		{"Health", false, kv.Health},
	}
}

func second[T any](_ T, err error) error { return err }

func ignoreMiss(err error) error {
	if err == resilient.ErrNotFound { //nolint:errorlint // the sentinel itself is promised
		return nil
	}
	return err
}

// works waits until every operation of kv does.
func works(tb testing.TB, kv *KV) {
	tb.Helper()
	for _, o := range operations(kv) {
		require.Eventually(tb, func() bool {
			ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Second)
			defer cancel()
			return o.call(ctx) == nil
		}, patience, 10*time.Millisecond, o.name)
	}
}
