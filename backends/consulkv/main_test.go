package consulkv

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/holdfastkv/holdfast/resilient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when all is well.
const patience = 30 * time.Second

// open opens a store that the end of the test closes.
func open(tb testing.TB, addr string, cfg Config) *KV {
	tb.Helper()
	kv, err := Open(addr, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = kv.Close() })
	return kv
}

// operation is one method of a store, for tests that hold for all of them.
type operation struct {
	name   string
	writes bool
	run    func(ctx context.Context) error
}

// operations are those of kv, at a key of the name and a value.
func operations(kv *KV, key string, value []byte) []operation {
	return []operation{
		{"GetRaw", false, func(ctx context.Context) error { _, err := kv.GetRaw(ctx, key); return err }},
		{"List", false, func(ctx context.Context) error { _, err := kv.List(ctx, key); return err }},
		{"BatchGetRaw", false, func(ctx context.Context) error {
			found, err := kv.BatchGetRaw(ctx, []string{key, "beside"})
			if err != nil && found != nil {
				panic("a map and an error")
			}
			return err
		}},
		{"Health", false, kv.Health},
		{"SetRaw", true, func(ctx context.Context) error { return kv.SetRaw(ctx, key, value) }},
		{"Delete", true, func(ctx context.Context) error { return kv.Delete(ctx, key) }},
		{"BatchSetRaw", true, func(ctx context.Context) error {
			return kv.BatchSetRaw(ctx, map[string][]byte{key: value, "beside": value})
		}},
		{"BatchDelete", true, func(ctx context.Context) error { return kv.BatchDelete(ctx, []string{key, "beside"}) }},
	}
}

// inDoubt is the sentinel of an operation that failed after it was sent.
func (o operation) inDoubt() error {
	if o.writes {
		return resilient.ErrAmbiguous
	}
	return resilient.ErrUnavailable
}
