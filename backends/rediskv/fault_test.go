package rediskv

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// tooLate is when a call has not honoured its ctx: a third of it is promised.
const tooLate = 1500 * time.Millisecond

// connects are the ways to a store on a server.
var connects = []struct {
	name string
	open func(tb testing.TB, s *servertest.Server, cfg Config) *KV
}{{"opened", open}, {"borrowed", borrow}}

// punctual runs o and fails if it returns later than tooLate after it should.
func punctual(t *testing.T, o operation, ctx context.Context, kv *KV, should time.Duration) error {
	t.Helper()
	began := time.Now()
	err := o.run(ctx, kv)
	require.Less(t, time.Since(began)-should, tooLate, o.name)
	return err
}

// isUnanswered checks the error of a call that a server has not answered.
func isUnanswered(t *testing.T, o operation, err error) {
	t.Helper()
	require.ErrorIs(t, err, resilient.ErrUnavailable, o.name)
	require.NotErrorIs(t, err, resilient.ErrRefused, o.name)
	require.Equal(t, o.writes, errors.Is(err, resilient.ErrAmbiguous), o.name)
}

// isUnsent checks the error of a call that a server has certainly not heard of.
func isUnsent(t *testing.T, o operation, err error) {
	t.Helper()
	require.ErrorIs(t, err, resilient.ErrRefused, o.name)
	require.NotErrorIs(t, err, resilient.ErrAmbiguous, o.name)
}

func TestAServerThatIsDownRefusesEverythingAndWorksOnceItIsUp(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		t.Run(way.name, func(t *testing.T) {
			s.Kill()
			kv := way.open(t, s, Config{Namespace: fresh()})
			for range 3 {
				for _, o := range operations {
					err := punctual(t, o, t.Context(), kv, 0)
					require.ErrorIs(t, err, resilient.ErrRefused, o.name)
					require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
					var op *net.OpError
					require.ErrorAs(t, err, &op, o.name)
				}
			}
			s.Start()
			require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, 10*time.Millisecond)
			serves(t, kv)
		})
	}
}

func TestAnOpenedStoreIsThereAsSoonAsItsServerIs(t *testing.T) {
	s := servertest.Redis(t)
	s.Kill()
	kv := open(t, s, Config{})
	require.ErrorIs(t, kv.Health(t.Context()), resilient.ErrRefused)
	s.Start()
	serves(t, kv)
}

// TestAServerThatWasRestartedServesTheNextCall: a connection that the server
// has closed is noticed before it is used again, if the news of it has come.
func TestAServerThatWasRestartedServesTheNextCall(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		t.Run(way.name, func(t *testing.T) {
			kv := way.open(t, s, Config{Namespace: fresh()})
			serves(t, kv)
			for _, end := range []func(){s.Kill, s.Stop} {
				end()
				s.Start()
				serves(t, kv)
			}
		})
	}
}

func TestAFrozenServerIsLeftAtTheEndOfTheContext(t *testing.T) {
	const soon, limit = 100 * time.Millisecond, 500 * time.Millisecond
	for _, way := range connects {
		s := servertest.Redis(t)
		kv := way.open(t, s, Config{Timeout: limit, PoolSize: 32})
		cold := way.open(t, s, Config{Timeout: limit, PoolSize: 32})
		// ready gives kv a connection to a server that stands still, cold none.
		ready := func(t *testing.T, which *KV) {
			if which == kv {
				s.Wake()
				require.NoError(t, kv.Health(t.Context()))
			}
			s.Freeze()
		}
		for _, o := range operations {
			t.Run(way.name+"/"+o.name, func(t *testing.T) {
				for _, kv := range []*KV{kv, cold} {
					isUnanswered := isUnanswered
					if way.name == "opened" && kv == cold {
						isUnanswered = isUnsent // there was no handshake
					}
					ready(t, kv)
					ctx, cancel := context.WithTimeout(t.Context(), soon)
					err := punctual(t, o, ctx, kv, soon)
					cancel()
					require.ErrorIs(t, err, context.DeadlineExceeded)
					isUnanswered(t, o, err)

					ready(t, kv)
					ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(soon, cancel)
					err = punctual(t, o, ctx, kv, soon)
					cancel()
					require.ErrorIs(t, err, context.Canceled)
					isUnanswered(t, o, err)

					ready(t, kv)
					ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
					time.AfterFunc(soon, cancel)
					err = punctual(t, o, ctx, kv, soon)
					cancel()
					require.ErrorIs(t, err, context.Canceled)
					isUnanswered(t, o, err)

					ready(t, kv)
					err = punctual(t, o, t.Context(), kv, limit)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					isUnanswered(t, o, err)
				}
			})
		}
		s.Wake()
		require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, 10*time.Millisecond)
		serves(t, kv)
		serves(t, cold)
	}
}

func TestABlackHoleIsLeftAtTheEndOfTheContext(t *testing.T) {
	hole := blackHole(t)
	kv, err := Open("redis://"+hole, Config{DialTimeout: time.Hour, Timeout: 100 * time.Millisecond})
	require.NoError(t, err)
	for _, o := range operations {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		err := punctual(t, o, ctx, kv, 50*time.Millisecond)
		cancel()
		require.ErrorIs(t, err, context.Canceled, o.name)
		require.ErrorIs(t, err, resilient.ErrRefused, "nothing was sent by %s", o.name)

		err = punctual(t, o, t.Context(), kv, 100*time.Millisecond)
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
	}
	require.NoError(t, kv.Close())

	kv, err = Open("redis://"+hole, Config{DialTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	for _, o := range operations {
		err := punctual(t, o, t.Context(), kv, 50*time.Millisecond)
		require.ErrorIs(t, err, resilient.ErrRefused, o.name)
		require.NotErrorIs(t, err, context.Canceled, o.name)
	}
}

// blackHole returns an address whose host does not answer a connect: a
// listener that accepts nothing and whose queue is full.
func blackHole(t *testing.T) string {
	t.Helper()
	return deafListener(t)
}

func TestALongDeadlineIsNotCutShort(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		kv := way.open(t, s, Config{Namespace: fresh(), Timeout: 100 * time.Millisecond})
		serves(t, kv)
		require.NoError(t, bare(t, s).Do(t.Context(), "CLIENT", "PAUSE", 400, "WRITE").Err())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, kv.SetRaw(ctx, "key", []byte("paused")), way.name)
		cancel()
	}
}

func TestS31_CloseEndsTheCallsAtAFrozenServer(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		t.Run(way.name, func(t *testing.T) {
			// The borrowed client ends its calls by itself after Timeout.
			kv := way.open(t, s, Config{Timeout: 2 * time.Second, PoolSize: 16})
			serves(t, kv)
			warm(t, kv, len(operations))
			s.Freeze()
			defer s.Wake()
			results := make(chan error, len(operations))
			var doubtful atomic.Int32
			for _, o := range operations {
				go func() {
					err := o.run(t.Context(), kv)
					// One that Close overtakes has sent nothing.
					ambiguous, refused := errors.Is(err, resilient.ErrAmbiguous), errors.Is(err, resilient.ErrRefused)
					if ambiguous {
						doubtful.Add(1)
					}
					if ambiguous && (refused || !o.writes) || o.writes && !ambiguous && !refused {
						t.Errorf("%s: %v", o.name, err)
					}
					results <- err
				}()
			}
			require.Eventually(t, func() bool { return underWay(kv) == len(operations) }, patience, time.Millisecond)
			began := time.Now()
			closed := make(chan error, 1)
			go func() { closed <- kv.Close() }()
			for range operations {
				require.ErrorIs(t, <-results, resilient.ErrClosed)
			}
			require.Less(t, time.Since(began), tooLate)
			require.NotZero(t, doubtful.Load(), "not all were overtaken")
			require.NoError(t, <-closed)
			for _, o := range operations {
				require.ErrorIs(t, punctual(t, o, t.Context(), kv, 0), resilient.ErrClosed, o.name)
			}
		})
	}
}

// underWay returns how many calls have a connection of their own, or a place.
func underWay(kv *KV) (n int) {
	switch via := kv.via.(type) {
	case *lanes:
		via.mu.Lock()
		defer via.mu.Unlock()
		for _, ln := range via.mu.all {
			if ln.isUp() && !slices.Contains(via.mu.idle, ln) {
				n++
			}
		}
		return n
	case *borrowed:
		return len(via.places)
	}
	return 0
}

// warm leaves kv with n connections.
func warm(t *testing.T, kv *KV, n int) {
	t.Helper()
	if l, ok := kv.via.(*lanes); ok {
		var held []*lane
		for range n {
			ln := l.lease()
			require.NoError(t, ln.client.Ping(t.Context()).Err())
			held = append(held, ln)
		}
		for _, ln := range held {
			l.giveBack(ln)
		}
		return
	}
	var held []*redis.Conn
	for range n {
		c := kv.via.(*borrowed).client.(*redis.Client).Conn()
		require.NoError(t, c.Ping(t.Context()).Err())
		held = append(held, c)
	}
	for _, c := range held {
		require.NoError(t, c.Close())
	}
}

// TestRegression_AWriteAtAServerThatNeverGreetedWasInDoubt: of a call for which
// a connection had to be made nothing is sent before the server has answered the
// driver's handshake, however the making of it ends.
func TestRegression_AWriteAtAServerThatNeverGreetedWasInDoubt(t *testing.T) {
	s := servertest.Redis(t)
	kv := open(t, s, Config{Timeout: 100 * time.Millisecond})
	s.Freeze()
	err := kv.SetRaw(t.Context(), "key", []byte("value"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	for _, o := range operations {
		err := o.run(t.Context(), kv)
		require.ErrorIs(t, err, context.DeadlineExceeded, o.name)
		isUnsent(t, o, err)
	}
	s.Wake()
	require.Eventually(t, func() bool { return kv.Health(t.Context()) == nil }, patience, 10*time.Millisecond)
	_, err = kv.GetRaw(t.Context(), "key")
	require.ErrorIs(t, err, resilient.ErrNotFound, "it was not applied later either")

	// The same for one that hangs up, and for one whose answer ends in the middle.
	for _, greeting := range []string{"", "*14\r\n$6\r\nserv"} {
		hangsUp, err := Open("redis://"+answering(t, func(c net.Conn, _ string) bool {
			_, _ = io.WriteString(c, greeting)
			return false
		}), Config{})
		require.NoError(t, err)
		for _, o := range operations {
			isUnsent(t, o, o.run(t.Context(), hangsUp))
		}
		require.NoError(t, hangsUp.Close())
	}
}

func TestAFullPoolRefuses(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		kv := way.open(t, s, Config{Namespace: fresh(), PoolSize: 1, Timeout: 3 * time.Second})
		serves(t, kv)
		s.Freeze()
		done := make(chan error, 1)
		go func() { _, err := kv.GetRaw(t.Context(), "key"); done <- err }()
		require.Eventually(t, func() bool { return underWay(kv) == 1 }, patience, time.Millisecond)

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := kv.SetRaw(ctx, "key", nil)
		cancel()
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		err = kv.SetRaw(t.Context(), "key", nil)
		require.ErrorIs(t, err, resilient.ErrRefused)
		require.ErrorIs(t, err, redis.ErrPoolTimeout)
		s.Wake()
		<-done
		serves(t, kv)
	}
}

func TestAnInterruptThatComesTooLateHurtsNobody(t *testing.T) {
	s := servertest.Redis(t, "--appendfsync", "no")
	kv := open(t, s, Config{PoolSize: 1})
	serves(t, kv)
	for i := range 3000 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_, _ = kv.GetRaw(ctx, "key")
		cancel()
		_, err := kv.GetRaw(t.Context(), "key")
		require.NoError(t, err, "round %d", i)
	}
}

func TestS28_APanicOfAHookIsAnError(t *testing.T) {
	client := bare(t, servertest.Redis(t))
	client.AddHook(panicking{})
	kv, err := New(client, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	err = kv.SetRaw(t.Context(), "key", nil)
	var p *resilient.PanicError
	require.ErrorAs(t, err, &p)
	require.ErrorIs(t, err, resilient.ErrAmbiguous)
	require.NotContains(t, err.Error(), "SECRET")
}

type panicking struct{}

func (panicking) DialHook(next redis.DialHook) redis.DialHook { return next }
func (panicking) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { panic("SECRET of the hook") }
}
func (panicking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
