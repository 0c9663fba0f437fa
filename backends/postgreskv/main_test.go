package postgreskv

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// tables counts the namespaces that tests have used.
var tables atomic.Int64

func freshNamespace() string { return fmt.Sprintf("test_%d", tables.Add(1)) }

// open returns a store at url that is closed when the test ends.
func open(tb testing.TB, url string, cfg Config) *KV {
	tb.Helper()
	kv, err := Open(url, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

// inUse returns a store at url whose connections are never taken for idle: a
// real load, too, sends without asking first whether the server lives.
func inUse(tb testing.TB, url string, cfg Config) *KV {
	tb.Helper()
	cfg = cfg.withDefaults()
	pc, err := poolConfig(url, cfg)
	require.NoError(tb, err)
	pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	kv, err := start(pc, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

// idle waits until connections have been idle for so long that pgxpool asks
// them whether they live before it gives them out: a second.
func idle() { time.Sleep(1100 * time.Millisecond) }

// onServer starts a server and returns it with a store on it.
func onServer(tb testing.TB, cfg Config, settings ...string) (*servertest.Server, *KV) {
	tb.Helper()
	s := servertest.Postgres(tb, settings...)
	return s, open(tb, servertest.PostgresURL(s), cfg)
}

// session returns a connection of the superuser, outside of every store.
func session(tb testing.TB, s *servertest.Server) *pgx.Conn {
	tb.Helper()
	c, err := pgx.Connect(tb.Context(), servertest.PostgresURL(s))
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

// run executes SQL on c.
func run(tb testing.TB, c *pgx.Conn, sql string) {
	tb.Helper()
	_, err := c.Exec(tb.Context(), sql)
	require.NoError(tb, err)
}

// operation is one method, called for its error.
type operation struct {
	name   string
	writes bool
	call   func(ctx context.Context) error
}

// operations returns every method of kv, on one key.
func operations(kv *KV) []operation {
	return []operation{
		{"GetRaw", false, func(ctx context.Context) error { _, err := kv.GetRaw(ctx, "key"); return err }},
		{"SetRaw", true, func(ctx context.Context) error { return kv.SetRaw(ctx, "key", []byte("value")) }},
		{"Delete", true, func(ctx context.Context) error { return kv.Delete(ctx, "other") }},
		{"List", false, func(ctx context.Context) error { _, err := kv.List(ctx, ""); return err }},
		{"Health", false, kv.Health},
		{"BatchGetRaw", false, func(ctx context.Context) error { _, err := kv.BatchGetRaw(ctx, []string{"key"}); return err }},
		{"BatchSetRaw", true, func(ctx context.Context) error { return kv.BatchSetRaw(ctx, map[string][]byte{"key": []byte("value")}) }},
		{"BatchDelete", true, func(ctx context.Context) error { return kv.BatchDelete(ctx, []string{"other"}) }},
	}
}

// mustWork calls every operation.
func mustWork(tb testing.TB, kv *KV) {
	tb.Helper()
	require.NoError(tb, kv.SetRaw(tb.Context(), "key", []byte("value")))
	for _, o := range operations(kv) {
		require.NoError(tb, o.call(tb.Context()), o.name)
	}
}

// warm makes n idle connections. A server that is full may have been told of
// the end of others and not be done with it.
func warm(tb testing.TB, kv *KV, n int) {
	tb.Helper()
	var held []*pgxpool.Conn
	require.Eventually(tb, func() bool {
		c, err := kv.pool.Acquire(tb.Context())
		if err == nil {
			held = append(held, c)
		}
		return len(held) == n
	}, patience, time.Millisecond)
	for _, c := range held {
		c.Release()
	}
}

// certainty is what an error says about a write.
func certainty(err error) string {
	switch {
	case err == nil:
		return "applied"
	case errors.Is(err, resilient.ErrAmbiguous):
		return "ambiguous"
	case errors.Is(err, resilient.ErrRefused):
		return "refused"
	}
	return "unknown"
}
