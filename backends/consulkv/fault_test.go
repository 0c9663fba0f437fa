package consulkv

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	soon    = 200 * time.Millisecond
	tooLate = 1500 * time.Millisecond // 500 ms, and what a loaded machine adds
)

// silent accepts connections and never answers.
func silent(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var (
		mu    sync.Mutex
		conns []net.Conn
	)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	}()
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// ends runs o with ctx, which ends after soon, and checks that it returns then.
func ends(t *testing.T, o operation, ctx context.Context) error {
	t.Helper()
	began := time.Now()
	err := o.run(ctx)
	require.Error(t, err, o.name)
	require.Less(t, time.Since(began), soon+tooLate, o.name)
	return err
}

// leavesInTime checks every operation at a server that does not answer.
func leavesInTime(t *testing.T, addr string) {
	t.Helper()
	bounded := operations(open(t, addr, Config{Timeout: soon}), "key", []byte("value"))
	for i, o := range operations(open(t, addr, Config{}), "key", []byte("value")) {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		err := ends(t, o, ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		require.ErrorIs(t, err, o.inDoubt(), o.name)

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(soon, cancel)
		err = ends(t, o, ctx)
		require.ErrorIs(t, err, context.Canceled, o.name)
		require.ErrorIs(t, err, o.inDoubt(), o.name)

		err = ends(t, bounded[i], t.Context())
		require.ErrorIs(t, err, resilient.ErrTimeout, "%s: Config.Timeout bounds a call without a deadline", o.name)
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		require.ErrorIs(t, err, o.inDoubt(), o.name)
		require.NotErrorIs(t, err, resilient.ErrRefused, o.name)
	}
}

func TestOpenWorksWhileTheServerIsDownAndEveryCallIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	kv := open(t, l.Addr().String(), Config{})
	for _, o := range operations(kv, "key", []byte("value")) {
		err := o.run(t.Context())
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous, o.name)
		require.Equal(t, resilient.Refused, kv.Classify(err))
	}
}

func TestABlackHoleIsLeftInTime(t *testing.T) { leavesInTime(t, silent(t)) }

func TestAFrozenServerIsLeftInTimeAndUsedAgainWhenItWakes(t *testing.T) {
	server := servertest.Consul(t)
	kv := open(t, server.Addr(), Config{})
	for _, o := range operations(kv, "key", []byte("value")) { // a warm connection
		if err := o.run(t.Context()); err != nil {
			require.ErrorIs(t, err, resilient.ErrNotFound, o.name)
		}
	}
	server.Freeze()
	for _, o := range operations(kv, "key", []byte("frozen")) {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		err := ends(t, o, ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		require.ErrorIs(t, err, o.inDoubt(), o.name)
	}
	leavesInTime(t, server.Addr())
	server.Wake()
	require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, 10*time.Millisecond)
	for _, o := range operations(kv, "after", []byte("value")) {
		if err := o.run(t.Context()); err != nil {
			require.ErrorIs(t, err, resilient.ErrNotFound, o.name)
		}
	}
}

func TestARestartedServerIsUsedAgain(t *testing.T) {
	server := servertest.Consul(t)
	kv := open(t, server.Addr(), Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
	for _, end := range []func(){server.Kill, server.Stop} {
		end()
		// Its connections are closed by now; a write that took one before net/http
		// noticed would be in doubt.
		require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrUnavailable)
		require.ErrorIs(t, kv.SetRaw(t.Context(), "key", []byte("lost")), resilient.ErrRefused)
		server.Start()
		value, err := kv.GetRaw(t.Context(), "key")
		require.NoError(t, err)
		require.Equal(t, "value", string(value))
		require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("value")))
		require.NoError(t, kv.Health(t.Context()))
	}
}

func TestCloseEndsCallsAtAServerThatDoesNotAnswer(t *testing.T) {
	addr := silent(t)
	for i := range operations(open(t, addr, Config{}), "key", nil) {
		kv := open(t, addr, Config{PoolSize: 1})
		o := operations(kv, "key", []byte("value"))[i]
		sent, waiting := make(chan error, 1), make(chan error, 1)
		go func() { sent <- o.run(t.Context()) }()
		require.Eventually(t, func() bool { return kv.pool.open() == 1 }, patience, time.Millisecond)
		go func() { waiting <- o.run(t.Context()) }() // for the one connection
		time.Sleep(10 * time.Millisecond)

		began := time.Now()
		require.NoError(t, kv.Close())
		require.Less(t, time.Since(began), tooLate)
		require.Zero(t, kv.pool.open(), "a connection is left")
		err := <-sent
		require.ErrorIs(t, err, resilient.ErrClosed, o.name)
		require.ErrorIs(t, err, o.inDoubt(), o.name)
		err = <-waiting
		require.ErrorIs(t, err, resilient.ErrClosed, o.name)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous, "%s: it was not sent", o.name)
	}
}

func TestCloseEndsADialThatNobodyWaitsFor(t *testing.T) {
	kv := open(t, "127.0.0.1:1", Config{DialTimeout: time.Hour})
	dialling := make(chan struct{})
	kv.pool.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-dialling; cancel() }()
	err := kv.SetRaw(ctx, "key", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, resilient.ErrRefused, "there was no connection")
	require.NoError(t, kv.Close())
}

func TestAConnectionThatComesAfterCloseIsClosed(t *testing.T) {
	kv := open(t, "127.0.0.1:1", Config{})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dialling, closing := make(chan struct{}), make(chan struct{})
	kv.pool.dial = func(context.Context, string, string) (net.Conn, error) {
		close(dialling)
		<-closing
		return ours, nil
	}
	done := make(chan error, 1)
	go func() { done <- kv.Health(t.Context()) }()
	<-dialling
	closed := make(chan error, 1)
	go func() { closed <- kv.Close() }()
	require.ErrorIs(t, <-done, resilient.ErrClosed, "the call does not wait for the dial")
	close(closing)
	require.NoError(t, <-closed)
	_, err := theirs.Read(make([]byte, 1))
	require.Error(t, err, "the other end sees it closed")
	require.Zero(t, kv.pool.open())
}

func TestACallThatFindsNoFreeConnectionIsRefused(t *testing.T) {
	kv := open(t, silent(t), Config{PoolSize: 1})
	go func() { _, _ = kv.GetRaw(t.Context(), "key") }()
	require.Eventually(t, func() bool { return kv.pool.open() == 1 }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	err := kv.SetRaw(ctx, "key", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous)
}

func TestAWriteWhoseCallerLeavesKeepsNoHoldOnTheValue(t *testing.T) {
	kv := open(t, silent(t), Config{})
	for range 20 { // the race detector sees a transport that still reads it
		value := make([]byte, 512<<10)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.Error(t, kv.SetRaw(ctx, "key", value))
		cancel()
		clear(value)
	}
}

// open returns how many connections are open.
func (p *pool) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.conns)
}
