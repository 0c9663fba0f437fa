package etcdkv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// late is when a call has outlived its ctx; 500 ms are promised, the rest is
// for a loaded machine.
const late = 1500 * time.Millisecond

// prompt fails the test if call takes much longer than it may.
func prompt(tb testing.TB, limit time.Duration, what string, call func() error) error {
	tb.Helper()
	began := time.Now()
	err := call()
	require.Less(tb, time.Since(began), limit+late, what)
	return err
}

func TestOpenWorksWhileTheServerIsDownAndCallsAreRefusedUntilItIsBack(t *testing.T) {
	server := servertest.Etcd(t)
	server.Kill()
	kv := open(t, Config{}, server)
	for range 2 {
		for _, o := range operations(kv) {
			err := prompt(t, time.Second, o.name, func() error { return o.call(t.Context()) })
			require.ErrorIs(t, err, resilient.ErrRefused, o.name)
			require.ErrorContains(t, err, "connection refused", o.name)
			require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
		}
	}
	server.Start()
	works(t, kv)
}

func TestASilentNetworkRefusesWhenConnectingHasTakenLongEnough(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	require.NoError(t, err)
	defer hole.Close()
	kv, err := Open([]string{hole.Addr().String()}, Config{DialTimeout: 300 * time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	for _, o := range operations(kv) {
		err := prompt(t, 300*time.Millisecond, o.name, func() error { return o.call(t.Context()) })
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err = prompt(t, 50*time.Millisecond, o.name, func() error { return o.call(ctx) })
		cancel()
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
	}
}

func TestEveryCallLeavesAFrozenServerWhenItsTimeIsUp(t *testing.T) {
	const limit = 300 * time.Millisecond
	server := servertest.Etcd(t)
	bounded, unbounded := open(t, Config{Timeout: limit}, server), open(t, Config{Timeout: -1}, server)
	for _, end := range []struct {
		name string
		kv   *KV
		want error
		call func(o operation) error
	}{
		{"deadline", unbounded, context.DeadlineExceeded, func(o operation) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			return o.call(ctx)
		}},
		{"cancel", unbounded, context.Canceled, func(o operation) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(limit, cancel).Stop()
			defer cancel()
			return o.call(ctx)
		}},
		{"no deadline", bounded, context.DeadlineExceeded, func(o operation) error { return o.call(t.Context()) }},
	} {
		works(t, end.kv)
		server.Freeze()
		for _, o := range operations(end.kv) {
			err := prompt(t, limit, end.name+" "+o.name, func() error { return end.call(o) })
			require.ErrorIs(t, err, end.want, "%s %s", end.name, o.name)
			require.ErrorIs(t, err, resilient.ErrUnavailable, "%s %s", end.name, o.name)
			require.Equal(t, o.writes, errors.Is(err, resilient.ErrAmbiguous), "%s %s: %v", end.name, o.name, err)
			require.NotErrorIs(t, err, resilient.ErrRefused, "%s %s", end.name, o.name)
		}
		server.Wake()
	}
	works(t, bounded)
	works(t, unbounded)
}

func TestAWriteWhoseAnswerIsLostIsAmbiguous(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	direct := open(t, Config{}, server)
	for name, end := range map[string]func(p *proxy, kv *KV){
		"the connection breaks": func(p *proxy, _ *KV) { p.cut() },
		"the store is closed":   func(_ *proxy, kv *KV) { _ = kv.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, server.Addr())
			kv, err := Open([]string{p.addr()}, Config{})
			require.NoError(t, err)
			defer func() { require.NoError(t, kv.Close()) }()
			require.NoError(t, kv.SetRaw(ctx, "other", nil))
			require.NoError(t, direct.Delete(ctx, "key"))
			p.deaf.Store(true)
			result := make(chan error, 1)
			go func() { result <- kv.SetRaw(ctx, "key", nil) }()
			require.Eventually(t, func() bool {
				_, err := direct.GetRaw(ctx, "key")
				return err == nil
			}, patience, time.Millisecond, "the write is applied")
			end(p, kv)
			err = <-result
			require.ErrorIs(t, err, resilient.ErrAmbiguous)
			require.NotErrorIs(t, err, resilient.ErrRefused)
			require.Equal(t, resilient.Failed, kv.Classify(err))
		})
	}
}

func TestS31_CloseEndsTheCallsAtAFrozenServer(t *testing.T) {
	server := servertest.Etcd(t)
	kv := open(t, Config{Timeout: -1}, server)
	works(t, kv)
	server.Freeze()
	defer server.Wake()
	ops := operations(kv)
	errs := make([]error, len(ops))
	var all sync.WaitGroup
	for i, o := range ops {
		all.Go(func() { errs[i] = o.call(t.Context()) })
	}
	time.Sleep(100 * time.Millisecond) // all of them are on their way
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			if err := kv.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	require.NoError(t, prompt(t, 0, "Close", func() error { closing.Wait(); all.Wait(); return nil }))
	for i, o := range ops {
		require.ErrorIs(t, errs[i], resilient.ErrClosed, o.name)
		require.Equal(t, o.writes, errors.Is(errs[i], resilient.ErrAmbiguous), "%s: %v", o.name, errs[i])
		require.Equal(t, resilient.ErrClosed, o.call(t.Context()), o.name)
	}
}

func TestWhatWasAcknowledgedIsThereAfterAKillAndTheNextCallsWork(t *testing.T) {
	ctx := t.Context()
	server := servertest.Etcd(t)
	kv := open(t, Config{}, server)
	var (
		all   sync.WaitGroup
		acked [4]int // the last number that each writer was told is stored
		stop  atomic.Bool
		wrong atomic.Pointer[error]
	)
	for w := range acked {
		all.Go(func() {
			for i := 1; !stop.Load(); i++ {
				switch err := kv.SetRaw(ctx, fmt.Sprint("w", w), fmt.Append(nil, i)); {
				case err == nil:
					acked[w] = i
				case !errors.Is(err, resilient.ErrUnavailable):
					wrong.Store(&err)
				}
			}
		})
	}
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		server.Kill()
		time.Sleep(50 * time.Millisecond)
		server.Start()
		works(t, kv)
	}
	stop.Store(true)
	all.Wait()
	require.Nil(t, wrong.Load(), "in between every error matches ErrUnavailable")
	for w, want := range acked {
		require.Positive(t, want)
		value, err := kv.GetRaw(ctx, fmt.Sprint("w", w))
		require.NoError(t, err)
		var got int
		_, err = fmt.Sscan(string(value), &got)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got, want)
	}
}

// proxy stands between a store and a server.
type proxy struct {
	listener net.Listener
	deaf     atomic.Bool // what the server says is dropped
	mu       struct {
		sync.Mutex
		conns []net.Conn
	}
}

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	p := &proxy{listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", target)
			if err != nil {
				_ = down.Close()
				continue
			}
			p.mu.Lock()
			p.mu.conns = append(p.mu.conns, down, up)
			p.mu.Unlock()
			all.Go(func() { _, _ = io.Copy(up, down); _ = up.Close() })
			all.Go(func() { _, _ = io.Copy(&hearing{p, down}, up); _ = down.Close() })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		p.cut()
		all.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.mu.conns {
		_ = c.Close()
	}
	p.mu.conns = nil
}

// hearing passes on what the server says, unless the proxy is deaf.
type hearing struct {
	p  *proxy
	to io.Writer
}

func (h *hearing) Write(b []byte) (int, error) {
	if h.p.deaf.Load() {
		return len(b), nil
	}
	return h.to.Write(b)
}
