package rediskv

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// piped notes how many commands each pipeline of GETs had.
type piped struct{ sizes []int }

func (*piped) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (*piped) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *piped) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "get" {
			p.sizes = append(p.sizes, len(cmds))
		}
		return next(ctx, cmds)
	}
}

// TestRegression_ABatchOfLargeValuesTookTheServersMemory: a server keeps what a
// pipeline has asked for until its client has read it.
func TestRegression_ABatchOfLargeValuesTookTheServersMemory(t *testing.T) {
	s := unsynced(t)
	for name, c := range map[string]struct{ keys, size int }{
		"large": {100, 1 << 20},
		"small": {3000, 10},
		"none":  {3000, -1},
	} {
		kv := borrow(t, s, Config{Namespace: fresh(), Timeout: patience})
		var keys []string
		all := map[string][]byte{}
		for i := range c.keys {
			key := fmt.Sprintf("%05d", i)
			keys = append(keys, key)
			if c.size >= 0 {
				all[key] = make([]byte, c.size)
			}
		}
		require.NoError(t, kv.BatchSetRaw(t.Context(), all))
		var pipes piped
		kv.via.(*borrowed).client.AddHook(&pipes)
		found, err := kv.BatchGetRaw(t.Context(), keys)
		require.NoError(t, err, name)
		require.Equal(t, len(all), len(found), name)
		sum := 0
		for i, n := range pipes.sizes {
			sum += n
			require.LessOrEqual(t, n, maxCommands, name)
			switch {
			case i == 0:
				require.LessOrEqual(t, n, 32, name)
			case c.size > 0:
				require.LessOrEqual(t, n*c.size, maxBytes, name)
			}
		}
		require.Equal(t, c.keys, sum, name)
		if c.size < maxBytes/maxCommands {
			require.LessOrEqual(t, len(pipes.sizes), 5, "%s: %v", name, pipes.sizes)
		}
	}
}
