package rediskv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestSickServersAreClassified(t *testing.T) {
	for _, st := range states() {
		if st.Produce == nil {
			continue
		}
		t.Run(st.Name, func(t *testing.T) {
			want, limit := resilient.Refused, patience
			switch {
			case st.Works, strings.Contains(st.Name, "takes writes"):
				want = resilient.OK
			case strings.Contains(st.Name, "frozen"), strings.Contains(st.Name, "PAUSE"), strings.Contains(st.Name, "cluster"):
				want, limit = resilient.Failed, 300*time.Millisecond // nobody answers
			}
			kv := st.Produce(t).(*KV)
			for _, o := range operations {
				if o.name == "Set" || o.name == "BatchSet" {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					err := o.run(ctx, kv)
					cancel()
					require.Equal(t, want, kv.Classify(err), "%s: %v", o.name, err)
					require.Equal(t, want == resilient.Failed, errors.Is(err, resilient.ErrAmbiguous), o.name)
					if strings.Contains(st.Name, "frozen") {
						want = resilient.Refused // the connection is gone, and nobody greets another
					}
				}
			}
			if strings.Contains(st.Name, "serve-stale-data") {
				_, err := kv.GetRaw(t.Context(), "key")
				require.ErrorContains(t, err, "MASTERDOWN")
				require.Equal(t, resilient.Refused, kv.Classify(err))
			}
		})
	}
}

func TestAKeyOfAnotherTypeIsInvalid(t *testing.T) {
	s := servertest.Redis(t)
	for _, way := range connects {
		ns := fresh()
		kv := way.open(t, s, Config{Namespace: ns})
		require.NoError(t, kv.SetRaw(t.Context(), "good", nil))
		do(t, s, "LPUSH", ns+":list", "element")
		_, err := kv.GetRaw(t.Context(), "list")
		require.Equal(t, resilient.Invalid, kv.Classify(err))
		require.ErrorContains(t, err, "WRONGTYPE")
		found, err := kv.BatchGetRaw(t.Context(), []string{"good", "list"})
		require.Nil(t, found)
		require.Equal(t, resilient.Invalid, kv.Classify(err))
		require.NotErrorIs(t, err, resilient.ErrUnavailable)
		require.NoError(t, kv.Delete(t.Context(), "list"))
	}
}

func TestAForbiddenKeyIsInvalid(t *testing.T) {
	kv := withUser("~other:*", "+@all")(t).(*KV)
	for _, o := range operations {
		switch o.name {
		case "List", "Health":
		default:
			require.Equal(t, resilient.Invalid, kv.Classify(o.run(t.Context(), kv)), o.name)
		}
	}
	require.Error(t, kv.Health(t.Context()))
}

func TestAMissingPasswordIsRefused(t *testing.T) {
	kv := open(t, servertest.Redis(t, "--requirepass", canaryPassword), Config{})
	for _, o := range operations {
		err := o.run(t.Context(), kv)
		require.Equal(t, resilient.Refused, kv.Classify(err), o.name)
		require.ErrorContains(t, err, "NOAUTH", o.name)
	}
}

func TestTooManyClientsAreRefused(t *testing.T) {
	s := servertest.Redis(t)
	client := bare(t, s)
	require.NoError(t, client.ConfigSet(t.Context(), "maxclients", "1").Err())
	kv := open(t, s, Config{})
	_, err := kv.GetRaw(t.Context(), "key")
	// The server may have closed the connection before its answer is read.
	require.ErrorIs(t, err, resilient.ErrUnavailable)
	require.NoError(t, client.ConfigSet(t.Context(), "maxclients", "100").Err())
	serves(t, kv)
}

func TestASlotElsewhereIsRefused(t *testing.T) {
	moved := 0
	for _, s := range servertest.RedisCluster(t, 2) {
		kv := open(t, s, Config{})
		if err := kv.SetRaw(t.Context(), "key", nil); err != nil {
			require.ErrorContains(t, err, "MOVED")
			require.Equal(t, resilient.Refused, kv.Classify(err))
			moved++
		}
	}
	require.Equal(t, 1, moved)
}

func TestAValueOverTheServersLimitIsNotStored(t *testing.T) {
	s := servertest.Redis(t)
	kv := open(t, s, Config{})
	require.NoError(t, kv.SetRaw(t.Context(), "key", []byte("old")))
	do(t, s, "CONFIG", "SET", "proto-max-bulk-len", 1<<20)
	require.Error(t, kv.SetRaw(t.Context(), "key", make([]byte, 2<<20)))
	value, err := kv.GetRaw(t.Context(), "key")
	require.NoError(t, err)
	require.Equal(t, "old", string(value))
}

func TestAClosedOrExhaustedClientRefuses(t *testing.T) {
	s := servertest.Redis(t)
	o := clientOptions(s)
	o.PoolSize, o.PoolTimeout, o.PipelinePoolSize = 1, 10*time.Millisecond, -1
	client := redis.NewClient(o)
	kv, err := New(client, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, kv.Close()) }()
	conn := client.Conn() // holds the only connection
	require.NoError(t, conn.Ping(t.Context()).Err())
	err = kv.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, redis.ErrPoolTimeout)
	require.ErrorIs(t, err, resilient.ErrRefused)
	require.NoError(t, conn.Close())
	serves(t, kv)
	require.NoError(t, client.Close())
	err = kv.SetRaw(t.Context(), "key", nil)
	require.ErrorIs(t, err, redis.ErrClosed)
	require.ErrorIs(t, err, resilient.ErrRefused)
}

// TestALostAnswerIsAmbiguousAndNotAskedForAgain: the server reads the write and
// closes the connection, which could be after carrying it out.
func TestALostAnswerIsAmbiguousAndNotAskedForAgain(t *testing.T) {
	var seen atomic.Int64
	addr := answering(t, func(c net.Conn, line string) bool {
		switch {
		case strings.EqualFold(line, "set"), strings.EqualFold(line, "del"):
			seen.Add(1)
			return false
		case strings.EqualFold(line, "hello"):
			_, _ = io.WriteString(c, "-ERR unknown command\r\n")
		}
		return true
	})
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	defer client.Close()
	opened, err := Open("redis://"+addr, Config{})
	require.NoError(t, err)
	lent, err := New(client, Config{})
	require.NoError(t, err)
	for _, kv := range []*KV{opened, lent} {
		for _, o := range operations {
			if !o.writes {
				continue
			}
			seen.Store(0)
			err := o.run(t.Context(), kv)
			require.ErrorIs(t, err, resilient.ErrAmbiguous, o.name)
			require.Equal(t, resilient.Failed, kv.Classify(err), o.name)
			require.EqualValues(t, 1, seen.Load(), o.name)
		}
		require.NoError(t, kv.Close())
	}
}

func TestABatchOfWhichAPartWasAppliedIsAmbiguous(t *testing.T) {
	s := servertest.Redis(t, "--appendonly", "no")
	for _, way := range connects {
		kv := way.open(t, s, Config{Namespace: fresh()})
		batch := map[string][]byte{}
		for i := range 3 * maxCommands {
			batch[fmt.Sprintf("key%06d", i)] = nil
		}
		require.NoError(t, kv.BatchSetRaw(t.Context(), batch))
		keys, err := kv.List(t.Context(), "")
		require.NoError(t, err)
		require.Len(t, keys, len(batch))

		do(t, s, "CONFIG", "SET", "maxmemory", "1")
		err = kv.BatchSetRaw(t.Context(), batch)
		require.ErrorIs(t, err, resilient.ErrRefused, "each command was refused")
		require.NotErrorIs(t, err, resilient.ErrAmbiguous)
		do(t, s, "CONFIG", "SET", "maxmemory", "0")
	}
	for _, applied := range []bool{false, true} {
		good, bad := redis.NewStatusCmd(t.Context()), redis.NewStatusCmd(t.Context())
		bad.SetErr(redis.ErrPoolTimeout)
		cmds := []redis.Cmder{bad, bad}
		if applied {
			cmds = append(cmds, good)
		}
		j := judge(fate(cmds, redis.ErrPoolTimeout))
		require.Equal(t, applied, j.class != resilient.Refused)
		require.ErrorIs(t, j, redis.ErrPoolTimeout)
	}
}

func TestEveryAnswerHasItsClass_TableOnly(t *testing.T) {
	kv := open(t, servertest.Redis(t), Config{})
	for text, want := range map[string]resilient.Class{
		"LOADING Redis is loading the dataset in memory":                         resilient.Refused,
		"MASTERDOWN Link with MASTER is down":                                    resilient.Refused,
		"TRYAGAIN Multiple keys request during rehashing of slot":                resilient.Refused,
		"ASK 3999 127.0.0.1:6381":                                                resilient.Refused,
		"BUSY Redis is busy running a script":                                    resilient.Refused,
		"ERR max number of clients reached":                                      resilient.Refused,
		"ERR DB index is out of range":                                           resilient.Refused,
		"NOPERM User app has no permissions to run the 'set' command":            resilient.Refused,
		"NOPERM No permissions to access a key":                                  resilient.Invalid,
		"NOPERM this user has no permissions to access one of the keys used as ": resilient.Invalid,
		"NOPERM User app has no permissions to access the 'holdfast:x' key":      resilient.Invalid,
		"ERR unknown command 'SETT', with args beginning with: 'key'":            resilient.Invalid,
		"ERR syntax error":                                                       resilient.Invalid,
		"ERR Protocol error: invalid bulk length":                                resilient.Invalid,
		"ERR upstream failure":                                                   resilient.OK,
		"SOMETHING that nobody knows":                                            resilient.OK,
	} {
		require.Equal(t, want, kv.Classify(fmt.Errorf("wrapped: %w", redisError(text))), text)
	}
	for err, want := range map[error]resilient.Class{
		nil:                      resilient.OK,
		redis.Nil:                resilient.Missing,
		redis.ErrPoolTimeout:     resilient.Refused,
		redis.ErrPoolExhausted:   resilient.Refused,
		redis.ErrClosed:          resilient.Refused,
		io.EOF:                   resilient.OK,
		io.ErrUnexpectedEOF:      resilient.OK,
		syscall.ECONNRESET:       resilient.OK,
		context.DeadlineExceeded: resilient.OK,
		errors.New("never seen"): resilient.OK,
		&net.OpError{Op: "dial"}: resilient.Refused,
		&net.OpError{Op: "read"}: resilient.OK,
		resilient.ErrAmbiguous:   resilient.Failed,
		resilient.ErrRefused:     resilient.Refused,
	} {
		require.Equal(t, want, kv.Classify(err), "%v", err)
	}
}

// redisError is an answer of a server.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}
