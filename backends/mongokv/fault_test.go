package mongokv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// within runs call and fails if it returns later than limit and some slack.
func within(t *testing.T, limit time.Duration, name string, call func() error) error {
	t.Helper()
	began := time.Now()
	err := call()
	if took := time.Since(began); took > limit+slack {
		t.Errorf("%s returned after %v instead of %v: %v", name, took, limit, err)
	}
	return err
}

// works waits until every operation succeeds and checks that each error before
// that says that the store could not be reached.
func works(t *testing.T, kv *KV) {
	t.Helper()
	for _, o := range operations {
		require.Eventually(t, func() bool {
			err := o.call(t.Context(), kv)
			if err == nil || errors.Is(err, resilient.ErrNotFound) {
				return true
			}
			require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
			return false
		}, patience, 10*time.Millisecond, o.name)
	}
}

func TestAServerThatIsDownRefusesUntilItIsUp(t *testing.T) {
	s := servertest.FerretDB(t)
	s.Kill()
	kv := open(t, servertest.FerretDBURI(s), small(Config{DialTimeout: 200 * time.Millisecond}))
	for _, o := range operations {
		err := within(t, 200*time.Millisecond, o.name, func() error { return o.call(t.Context(), kv) })
		requireClass(t, resilient.Refused, o.writes, err, o.name)
		require.ErrorContains(t, err, "connection refused", o.name)
	}
	s.Start()
	works(t, kv)
}

func TestAServerThatAcceptsAndIsSilentRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	kv := open(t, "mongodb://"+l.Addr().String(), Config{DialTimeout: 200 * time.Millisecond})
	for _, o := range operations {
		err := within(t, 200*time.Millisecond, o.name, func() error { return o.call(t.Context(), kv) })
		requireClass(t, resilient.Refused, o.writes, err, o.name)
	}

	kv = open(t, "mongodb://"+l.Addr().String(), Config{DialTimeout: time.Minute})
	for _, o := range operations {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := within(t, 100*time.Millisecond, o.name, func() error { return o.call(ctx, kv) })
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
	}
	within(t, 0, "Close", kv.Close)
}

func TestAFrozenServerIsLeftWhenTheContextEnds(t *testing.T) {
	const limit = 300 * time.Millisecond
	// The connections are older than the freeze, and nobody finds out but the
	// calls: whatever ends them is their context.
	kv, s, warm := openWarm(t, Config{Timeout: limit, DialTimeout: time.Minute})
	patient := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, patience)
	}
	for name, ends := range map[string]struct {
		context func(ctx context.Context) (context.Context, context.CancelFunc)
		is      error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, limit)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := patient(ctx)
			time.AfterFunc(limit, cancel)
			return ctx, cancel
		}, context.Canceled},
		"Config.Timeout": {context.WithCancel, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			warm(t)
			s.Freeze()
			defer s.Wake()
			var all sync.WaitGroup
			for _, o := range operations {
				all.Go(func() {
					ctx, cancel := ends.context(t.Context())
					defer cancel()
					err := within(t, limit, o.name, func() error { return o.call(ctx, kv) })
					if !errors.Is(err, ends.is) || !errors.Is(err, resilient.ErrUnavailable) || o.writes != errors.Is(err, resilient.ErrAmbiguous) {
						t.Errorf("%s: %v", o.name, err)
					}
				})
			}
			all.Wait()
			s.Wake()
			works(t, kv)
		})
	}
}

// openWarm opens a store on a new server that keeps a connection for each
// operation, and returns a function that waits until it has them all.
func openWarm(t *testing.T, cfg Config) (kv *KV, s *servertest.Server, warm func(t *testing.T)) {
	t.Helper()
	before := descriptors(t)
	s = servertest.FerretDB(t)
	kv = open(t, servertest.FerretDBURI(s)+fmt.Sprintf("?minPoolSize=%d", len(operations)), small(cfg))
	return kv, s, func(t *testing.T) {
		t.Helper()
		works(t, kv)
		require.Eventually(t, func() bool {
			return descriptors(t) > before+len(operations) // and the driver's own
		}, patience, time.Millisecond)
	}
}

func TestAFrozenServerIsFoundOutAndUsedAgainWhenItWakes(t *testing.T) {
	kv, s := server(t, Config{DialTimeout: 200 * time.Millisecond})
	works(t, kv)
	s.Freeze()
	defer s.Wake()
	for _, o := range operations { // far more than connections that are left behind
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := within(t, 200*time.Millisecond, o.name, func() error { return o.call(ctx, kv) })
			cancel()
			require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
		}
	}
	s.Wake()
	works(t, kv)
}

func TestS31_CloseEndsTheCallsOnAFrozenServer(t *testing.T) {
	before := descriptors(t)
	kv, s, warm := openWarm(t, Config{Timeout: -1, DialTimeout: time.Minute})
	warm(t)
	s.Freeze()
	defer s.Wake()
	var running, ended sync.WaitGroup
	for _, o := range operations {
		running.Add(1)
		ended.Go(func() {
			running.Done()
			err := o.call(context.Background(), kv)
			if !errors.Is(err, resilient.ErrClosed) || o.writes != (errors.Is(err, resilient.ErrAmbiguous) || errors.Is(err, resilient.ErrRefused)) {
				t.Errorf("%s: %v", o.name, err)
			}
		})
	}
	running.Wait()
	time.Sleep(50 * time.Millisecond) // they are on their connections
	require.NoError(t, within(t, goodbye, "Close", kv.Close))
	ended.Wait()
	for _, o := range operations {
		require.ErrorIs(t, o.call(t.Context(), kv), resilient.ErrClosed, o.name)
	}
	require.Eventually(t, func() bool { return descriptors(t) <= before }, patience, time.Millisecond, "connections are left")
}

// descriptors returns how many sockets this process has open.
func descriptors(tb testing.TB) (n int) {
	tb.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(tb, err)
	for _, f := range files {
		if target, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && len(target) > 7 && target[:7] == "socket:" {
			n++
		}
	}
	return n
}

func TestARestartedServerIsUsedAgain(t *testing.T) {
	kv, s := server(t, Config{})
	works(t, kv)
	s.Kill()
	s.Start()
	works(t, kv)
	s.Stop()
	s.Start()
	works(t, kv)
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	kv, s := server(t, Config{})
	const writers = 4
	var (
		all          sync.WaitGroup
		acknowledged [writers]int // as each writer counts, from 1
		refused      [writers]int // the first that certainly was not applied
		count        atomic.Int64
	)
	for w := range writers {
		all.Go(func() {
			for i := 1; ; i++ {
				err := kv.SetRaw(t.Context(), fmt.Sprintf("%d/%d", w, i), []byte("value"))
				if err == nil {
					acknowledged[w] = i
					count.Add(1)
					continue
				}
				if errors.Is(err, resilient.ErrRefused) {
					refused[w] = i
				}
				return
			}
		})
	}
	require.Eventually(t, func() bool { return count.Load() > 200 }, patience, time.Millisecond)
	s.Kill()
	all.Wait()
	s.Start()
	works(t, kv)
	for w := range writers {
		keys, err := kv.List(t.Context(), fmt.Sprintf("%d/", w))
		require.NoError(t, err)
		require.Contains(t, []int{acknowledged[w], acknowledged[w] + 1}, len(keys))
		if refused[w] > 0 {
			require.Len(t, keys, acknowledged[w])
		}
	}
}

func TestABorrowedClientStaysConnected(t *testing.T) {
	s := servertest.FerretDB(t)
	c := client(t, servertest.FerretDBURI(s))
	a, err := New(c, small(Config{Namespace: "a"}))
	require.NoError(t, err)
	b, err := New(c, small(Config{Namespace: "b"}))
	require.NoError(t, err)
	require.NoError(t, a.SetRaw(t.Context(), "key", []byte("of a")))
	_, err = b.GetRaw(t.Context(), "key")
	require.ErrorIs(t, err, resilient.ErrNotFound)
	require.NoError(t, a.Close())
	require.ErrorIs(t, a.Health(t.Context()), resilient.ErrClosed)
	require.NoError(t, b.Health(t.Context()))
	require.NoError(t, b.Close())
	require.NoError(t, c.Ping(t.Context(), nil))
}

func TestAStoreOnADisconnectedClientRefuses(t *testing.T) {
	f := newFake(t, nil, nil)
	c, err := mongo.Connect(options.Client().ApplyURI(f.uri()))
	require.NoError(t, err)
	kv, err := New(c, Config{})
	require.NoError(t, err)
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	require.NoError(t, c.Disconnect(t.Context()))
	for _, o := range operations {
		requireClass(t, resilient.Refused, o.writes, o.call(t.Context(), kv), o.name)
	}
	require.NoError(t, kv.Close())
}
