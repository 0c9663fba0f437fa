package rediskv

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

// scanned calls then before the client's SCAN of that number, from 1, is sent.
type scanned struct {
	number int
	then   func()
	seen   int
}

func (s *scanned) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *scanned) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *scanned) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "scan" {
			if s.seen++; s.seen == s.number {
				s.then()
			}
		}
		return next(ctx, cmd)
	}
}

// fill stores so many keys.
func fill(t *testing.T, kv *KV, count int) {
	t.Helper()
	all := map[string][]byte{}
	for i := range count {
		all[fmt.Sprintf("key-%05d", i)] = nil
	}
	require.NoError(t, kv.BatchSetRaw(t.Context(), all))
}

func TestRegression_AListLackedKeysAfterTheServerWasRestartedInIt(t *testing.T) {
	const count = 5 * scanCount
	for name, store := range map[string]func(t *testing.T, s *servertest.Server, hook redis.Hook) *KV{
		"opened": func(t *testing.T, s *servertest.Server, hook redis.Hook) *KV {
			kv := open(t, s, Config{DialTimeout: patience})
			l := kv.via.(*lanes)
			ln := l.lease()
			ln.client.AddHook(hook)
			l.giveBack(ln)
			return kv
		},
		"borrowed": func(t *testing.T, s *servertest.Server, hook redis.Hook) *KV {
			kv := borrow(t, s, Config{})
			kv.via.(*borrowed).client.AddHook(hook)
			return kv
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.Redis(t, "--appendfsync", "everysec")
			restarted := false
			kv := store(t, s, &scanned{number: 2, then: func() {
				s.Stop()
				s.Start()
				restarted = true
			}})
			fill(t, kv, count)
			// A server gives out cursors that mean nothing to the next one.
			keys, err := kv.List(t.Context(), "")
			require.True(t, restarted)
			require.ErrorIs(t, err, resilient.ErrUnavailable, "%d keys", len(keys))
			keys, err = kv.List(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, count, len(keys)) // Len would print them
		})
	}
}
