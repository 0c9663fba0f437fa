package mysqlkv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// operation is one method, called in the way that it is named.
type operation struct {
	name   string
	writes bool
	call   func(ctx context.Context) error
}

// operations are all methods but Close, on keys that are there. The batches
// have several statements, and so a transaction.
func operations(kv *KV) []operation {
	many := map[string][]byte{}
	var keys []string
	for i := range batchRows + 2 {
		key := fmt.Sprintf("key %04d", i)
		many[key], keys = []byte("value"), append(keys, key)
	}
	return []operation{
		{"Get", false, func(ctx context.Context) error { _, err := kv.GetRaw(ctx, "key"); return err }},
		{"Set", true, func(ctx context.Context) error { return kv.SetRaw(ctx, "key", []byte("value")) }},
		{"Delete", true, func(ctx context.Context) error { return kv.Delete(ctx, "other") }},
		{"List", false, func(ctx context.Context) error { _, err := kv.List(ctx, "key"); return err }},
		{"BatchGet", false, func(ctx context.Context) error { _, err := kv.BatchGetRaw(ctx, keys); return err }},
		{"BatchSet", true, func(ctx context.Context) error { return kv.BatchSetRaw(ctx, many) }},
		{"BatchDelete", true, func(ctx context.Context) error { return kv.BatchDelete(ctx, keys) }},
		{"Health", false, kv.Health},
	}
}

// warm makes every operation work once.
func warm(tb testing.TB, kv *KV) {
	tb.Helper()
	require.NoError(tb, kv.SetRaw(tb.Context(), "key", []byte("value")))
	for _, o := range operations(kv) {
		require.NoError(tb, o.call(tb.Context()), o.name)
	}
}

// endsWith calls o with ctx and demands that it is back soon after ctx ended.
func endsWith(tb testing.TB, o operation, ctx context.Context, ended func() time.Time) error {
	tb.Helper()
	err := o.call(ctx)
	require.Less(tb, time.Since(ended()), late, o.name)
	require.Error(tb, err, o.name)
	require.ErrorIs(tb, err, resilient.ErrUnavailable, o.name)
	require.NotErrorIs(tb, err, resilient.ErrNotFound, o.name)
	return err
}

func TestAFrozenServerIsLeftWhenTheContextEndsAndWorksAgainWhenItWakes(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{PoolSize: 4})
	warm(t, kv)
	leavesFrozen(t, server, kv)
}

// leavesFrozen freezes the server, demands that every operation ends with its
// ctx, and wakes the server.
func leavesFrozen(t *testing.T, server *servertest.Server, kv *KV) {
	t.Helper()
	freeze(t, server)
	const after = 100 * time.Millisecond
	for range 2 { // with connections that are there, and with none
		for _, o := range operations(kv) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			deadline, _ := ctx.Deadline()
			err := endsWith(t, o, ctx, func() time.Time { return deadline })
			require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
			require.Equal(t, o.writes, errors.Is(err, resilient.ErrAmbiguous) || errors.Is(err, resilient.ErrRefused) && o.writes, o.name)
			cancel()

			ctx, cancel = context.WithCancel(t.Context())
			canceled := time.Now().Add(after)
			time.AfterFunc(after, cancel)
			err = endsWith(t, o, ctx, func() time.Time { return canceled })
			require.ErrorIs(t, err, context.Canceled, o.name)
		}
	}
	server.Wake()
	warm(t, kv)
}

func TestACallWithoutDeadlineIsBoundedByTheTimeout(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{Timeout: 200 * time.Millisecond})
	warm(t, kv)
	freeze(t, server)
	for _, o := range operations(kv) {
		began := time.Now()
		err := endsWith(t, o, t.Context(), func() time.Time { return began.Add(200 * time.Millisecond) })
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
	}
	server.Wake()
	warm(t, kv)
}

func TestAWriteToAFrozenServerIsAmbiguousIfItWasSentAndRefusedIfNot(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{PoolSize: 1, Timeout: 300 * time.Millisecond})
	ctx := t.Context()
	require.NoError(t, kv.SetRaw(ctx, "key", []byte("old")))
	freeze(t, server)
	err := kv.SetRaw(ctx, "key", []byte("new"))
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Failed, kv.Classify(err))
	err = kv.SetRaw(ctx, "key", []byte("never")) // the connection is gone, and there is no other
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)
	require.Equal(t, resilient.Refused, kv.Classify(err))
	server.Wake()
	require.Eventually(t, func() bool { // the server does what is in its socket
		value, err := kv.GetRaw(ctx, "key")
		return err == nil && string(value) == "new"
	}, patience, 10*time.Millisecond)
}

func TestACallThatFindsNoFreeConnectionIsRefused(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{PoolSize: 1})
	warm(t, kv)
	freeze(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	holder := make(chan error, 1)
	go func() { holder <- kv.SetRaw(ctx, "key", []byte("held")) }()
	require.Eventually(t, func() bool { return len(kv.free) == 1 }, patience, time.Millisecond)
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	err := kv.SetRaw(short, "key", []byte("waits"))
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)
	cancel()
	require.ErrorIs(t, <-holder, resilient.ErrAmbiguous)
	server.Wake()
	warm(t, kv)
}

func TestAStoreOpensWhileItsServerIsDownAndWorksWhenItIsUp(t *testing.T) {
	server := servertest.MySQL(t)
	server.Kill()
	kv := open(t, server, Config{})
	for _, o := range operations(kv) {
		err := o.call(t.Context())
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
	}
	server.Start()
	warm(t, kv)
}

func TestAServerThatRestartsIsFoundAgain(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{})
	ctx := t.Context()
	var all sync.WaitGroup
	for range 8 { // several connections, each with its statements
		all.Go(func() {
			for range 20 {
				if err := kv.SetRaw(ctx, "key", []byte("value")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		for _, o := range operations(kv) {
			require.ErrorIs(t, o.call(ctx), resilient.ErrUnavailable, o.name)
		}
		server.Start()
		// No call meets a dead connection: each is looked at before it is used.
		value, err := kv.GetRaw(ctx, "key")
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		warm(t, kv)
	}
}

func TestAServerThatDiesDuringCallsLosesNoAcknowledgedWrite(t *testing.T) {
	server := servertest.MySQL(t)
	kv := open(t, server, Config{})
	ctx := t.Context()
	require.NoError(t, kv.Health(ctx))
	var (
		all  sync.WaitGroup
		last [8]int // acknowledged
	)
	for i := range last {
		all.Go(func() {
			for n := 1; ; n++ {
				err := kv.SetRaw(ctx, fmt.Sprint("key ", i), fmt.Append(nil, n))
				if err != nil {
					if !errors.Is(err, resilient.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
				last[i] = n
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	server.Kill()
	all.Wait()
	server.Start()
	for i, n := range last {
		require.Positive(t, n)
		value, err := kv.GetRaw(ctx, fmt.Sprint("key ", i))
		require.NoError(t, err)
		require.Contains(t, []string{fmt.Sprint(n), fmt.Sprint(n + 1)}, string(value))
	}
}

func TestS31_CloseEndsCallsAtAFrozenServer(t *testing.T) {
	server := servertest.MySQL(t)
	for i, o := range operations(open(t, server, Config{})) {
		kv := open(t, server, Config{})
		warm(t, kv)
		o = operations(kv)[i]
		freeze(t, server)
		done := make(chan error, 1)
		go func() { done <- o.call(t.Context()) }()
		require.Eventually(t, func() bool { return len(kv.free) == 1 }, patience, time.Millisecond)
		began := time.Now()
		require.NoError(t, kv.Close())
		err := <-done
		require.Less(t, time.Since(began), late, o.name)
		require.ErrorIs(t, err, resilient.ErrClosed, o.name)
		if o.writes {
			require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
		}
		require.Equal(t, resilient.ErrClosed, o.call(t.Context()), o.name)
		server.Wake()
	}
}
