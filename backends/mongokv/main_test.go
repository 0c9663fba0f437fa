package mongokv

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/internal/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// patience bounds waits that end at once when all is well.
	patience = 30 * time.Second
	// slack is how late a call may be after the end of its ctx: three times
	// what is promised, for machines that do other things too.
	slack = 1500 * time.Millisecond
)

// open opens a store at uri that is closed when the test ends.
func open(tb testing.TB, uri string, cfg Config) *KV {
	tb.Helper()
	kv, err := Open(uri, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
	return kv
}

// small returns cfg with what FerretDB 1.x needs: it holds one of 100 SQLite
// connections for each document that a command replaces, until the command
// ends, and waits for ever when it has none left.
func small(cfg Config) Config {
	cfg.BatchKeys, cfg.PoolSize = 8, 16
	return cfg
}

// server starts a FerretDB and opens a store on it.
func server(tb testing.TB, cfg Config) (*KV, *servertest.Server) {
	tb.Helper()
	s := servertest.FerretDB(tb)
	return open(tb, servertest.FerretDBURI(s), small(cfg)), s
}

// client returns a client of the test's own.
func client(tb testing.TB, uri string) *mongo.Client {
	tb.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Disconnect(context.Background())) })
	return c
}

// operation is one method of a store.
type operation struct {
	name   string
	writes bool
	call   func(ctx context.Context, kv *KV) error
}

var operations = []operation{
	{"GetRaw", false, func(ctx context.Context, kv *KV) error { _, err := kv.GetRaw(ctx, "key"); return err }},
	{"SetRaw", true, func(ctx context.Context, kv *KV) error { return kv.SetRaw(ctx, "key", []byte("value")) }},
	{"Delete", true, func(ctx context.Context, kv *KV) error { return kv.Delete(ctx, "key") }},
	{"List", false, func(ctx context.Context, kv *KV) error { _, err := kv.List(ctx, "k"); return err }},
	{"BatchGetRaw", false, func(ctx context.Context, kv *KV) error {
		_, err := kv.BatchGetRaw(ctx, []string{"key", "other"})
		return err
	}},
	{"BatchSetRaw", true, func(ctx context.Context, kv *KV) error {
		return kv.BatchSetRaw(ctx, map[string][]byte{"key": nil, "other": nil})
	}},
	{"BatchDelete", true, func(ctx context.Context, kv *KV) error {
		return kv.BatchDelete(ctx, []string{"key", "other"})
	}},
	{"Health", false, func(ctx context.Context, kv *KV) error { return kv.Health(ctx) }},
}

var namespaces atomic.Int64

// namespace returns a name that no other call has returned.
func namespace() string { return fmt.Sprint("n", namespaces.Add(1)) }
