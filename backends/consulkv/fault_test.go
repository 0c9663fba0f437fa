package consulkv

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

const (
	soon    = 200 * time.Millisecond
	tooLate = 1500 * time.Millisecond // 500 ms, and what a loaded machine adds
)

// silent accepts connections and never answers.
func silent(tb testing.TB) (addr string) {
	addr, _ = listener(tb)
	return addr
}

// listener is silent, and counts the connections on which it has heard a request
// begin.
func listener(tb testing.TB) (addr string, heard *atomic.Int32) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var (
		mu    sync.Mutex
		conns []net.Conn
	)
	heard = &atomic.Int32{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			go func() {
				if n, _ := c.Read(make([]byte, 1)); n > 0 {
					heard.Add(1)
				}
			}()
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
	return l.Addr().String(), heard
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

func TestS31_CloseEndsCallsAtAServerThatDoesNotAnswer(t *testing.T) {
	addr, heard := listener(t)
	for i := range 80 {
		kv := open(t, addr, Config{PoolSize: 1})
		o := operations(kv, "key", []byte("value"))[i%8]
		sent, waiting := make(chan error, 1), make(chan error, 1)
		go func() { sent <- o.run(t.Context()) }()
		require.Eventually(t, func() bool { return heard.Load() == int32(i+1) }, patience, time.Millisecond)
		go func() { waiting <- o.run(t.Context()) }() // for the one connection
		time.Sleep(time.Millisecond)

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

func TestCloseEndsAHandshakeThatNobodyWaitsFor(t *testing.T) {
	kv := open(t, "https://"+silent(t), Config{DialTimeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- kv.SetRaw(ctx, "key", nil) }()
	require.Eventually(t, func() bool { return kv.pool.open() == 1 }, patience, time.Millisecond)
	cancel()
	err := <-done
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, resilient.ErrRefused, "nothing was sent")
	require.NoError(t, kv.Close())
	require.Zero(t, kv.pool.open())
}

func TestAConnectionThatComesAfterCloseIsClosed(t *testing.T) {
	p := open(t, "127.0.0.1:1", Config{}).pool
	ours, theirs := net.Pipe()
	dialling, coming := make(chan struct{}), make(chan struct{})
	p.dial = func(context.Context, string, string) (net.Conn, error) {
		close(dialling)
		<-coming
		return ours, nil
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.connect(t.Context(), "tcp", "")
		done <- err
	}()
	<-dialling
	p.refuse()
	closed := make(chan struct{})
	go func() { p.close(); close(closed) }()
	<-p.closing.Done() // what was open then is closed
	close(coming)
	require.ErrorIs(t, <-done, resilient.ErrClosed)
	<-closed
	_, err := theirs.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Zero(t, p.open())
	_, err = p.connect(t.Context(), "tcp", "")
	require.ErrorIs(t, err, resilient.ErrClosed)
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

func TestS30_AWriteWhoseCallerLeavesKeepsNoHoldOnTheValue(t *testing.T) {
	slow := &dawdler{}
	client, err := api.NewClient(&api.Config{Address: "127.0.0.1:1", HttpClient: &http.Client{Transport: slow}})
	require.NoError(t, err)
	kv, err := New(client, Config{})
	require.NoError(t, err)
	defer kv.Close()
	value := []byte("value")
	require.ErrorIs(t, kv.SetRaw(t.Context(), "key", value), resilient.ErrAmbiguous, "a transport that does not say how far it came")
	clear(value)
	sent, err := io.ReadAll(slow.body)
	require.NoError(t, err)
	require.Equal(t, "value", string(sent))
}

// dawdler is a transport that has not read the body when it gives up, as
// http.RoundTripper allows.
type dawdler struct{ body io.Reader }

func (d *dawdler) RoundTrip(req *http.Request) (*http.Response, error) {
	d.body = req.Body
	return nil, io.ErrUnexpectedEOF
}

// open returns how many connections are open.
func (p *pool) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.conns)
}
