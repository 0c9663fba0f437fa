package rediskv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	compattest.Run(t, compattest.Section{
		Backend:  "rediskv",
		Versions: versions(t),
		Facts: []compattest.Fact{
			{Name: "Largest key", Text: "512 bytes"},
			{Name: "Largest value", Text: "16 MiB, up to 512 MiB with `MaxValue` and the server's `proto-max-bulk-len`"},
			{Name: "Refused keys", Text: "none of the contract's"},
			{Name: "A batch is", Text: "not atomic: pipelines of at most 1000 commands or 4 MiB"},
			{Name: "An acknowledged write survives", Text: "a crash of the server if it has `appendonly yes` and `appendfsync always`; " +
				"with its defaults, what the last snapshot has. A replica that takes over lacks what had not reached it"},
			{Name: "Set on the driver", Text: "`MaxRetries -1` (a retried write looks refused), `ContextTimeoutEnabled` (else deadlines are ignored), " +
				"no read timeout of its own (the ctx bounds the call), a connection for each call (its end closes it), `Protocol 2`, no maintenance notifications"},
		},
		States: states(),
	})
}

// versions names what runs.
func versions(t *testing.T) string {
	t.Helper()
	info, err := bare(t, servertest.Redis(t)).Info(t.Context(), "server").Result()
	require.NoError(t, err)
	_, server, _ := strings.Cut(info, "redis_version:")
	server, _, _ = strings.Cut(server, "\r\n")
	return fmt.Sprintf("go-redis v%s on redis-server %s", redis.Version(), server)
}

// on returns a State.Produce that opens a store on a server that then comes
// into the state.
func on(into func(tb testing.TB, s *servertest.Server), settings ...string) func(tb testing.TB) resilient.KVWithHealth {
	return func(tb testing.TB) resilient.KVWithHealth {
		s := servertest.Redis(tb, settings...)
		kv := open(tb, s, Config{})
		require.NoError(tb, kv.SetRaw(tb.Context(), "compat", []byte("before")))
		into(tb, s)
		return kv
	}
}

// do sends a command that must be answered with no error.
func do(tb testing.TB, s *servertest.Server, command ...any) {
	tb.Helper()
	require.NoError(tb, bare(tb, s).Do(tb.Context(), command...).Err())
}

func states() []compattest.State {
	return []compattest.State{
		{Name: "well", Works: true, Produce: on(func(testing.TB, *servertest.Server) {})},
		{Name: "restarted", Works: true, Produce: on(func(_ testing.TB, s *servertest.Server) { s.Kill(); s.Start() })},
		{Name: "restarted empty", Works: true, Produce: on(func(_ testing.TB, s *servertest.Server) { s.Kill(); s.Start() }, "--appendonly", "no")},
		{Name: "killed (SIGKILL)", Produce: on(func(_ testing.TB, s *servertest.Server) { s.Kill() })},
		{Name: "frozen (SIGSTOP)", Produce: on(func(_ testing.TB, s *servertest.Server) { s.Freeze() })},
		{Name: "a replica", Produce: func(tb testing.TB) resilient.KVWithHealth {
			return open(tb, servertest.RedisReplica(tb, servertest.Redis(tb)), Config{})
		}},
		{Name: "a replica whose primary has died", Produce: func(tb testing.TB) resilient.KVWithHealth {
			primary := servertest.Redis(tb)
			replica := servertest.RedisReplica(tb, primary)
			primary.Kill()
			return open(tb, replica, Config{})
		}},
		{Name: "a replica whose primary has died, `replica-serve-stale-data no`", Produce: func(tb testing.TB) resilient.KVWithHealth {
			primary := servertest.Redis(tb)
			replica := servertest.RedisReplica(tb, primary, "--replica-serve-stale-data", "no")
			primary.Kill()
			kv := open(tb, replica, Config{})
			require.Eventually(tb, func() bool {
				_, err := kv.GetRaw(tb.Context(), "compat")
				return err != nil && resilient.ErrNotFound != err
			}, patience, tooLate/100)
			return kv
		}},
		{Name: "a replica that takes writes (`replica-read-only no`)", Produce: func(tb testing.TB) resilient.KVWithHealth {
			return open(tb, servertest.RedisReplica(tb, servertest.Redis(tb), "--replica-read-only", "no"), Config{})
		}},
		{Name: "out of memory (`maxmemory`, `noeviction`)", Produce: on(fillMemory, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")},
		{Name: "`CLIENT PAUSE ... WRITE`", Produce: on(func(tb testing.TB, s *servertest.Server) { do(tb, s, "CLIENT", "PAUSE", 60_000, "WRITE") })},
		{Name: "`min-replicas-to-write` unmet", Produce: on(func(tb testing.TB, s *servertest.Server) { do(tb, s, "CONFIG", "SET", "min-replicas-to-write", 1) })},
		{Name: "its snapshot has failed (`MISCONF`)", Produce: on(failSnapshot, "--dbfilename", "taken", "--save", "3600 1")},
		{Name: "its disk is full", NotProduced: "a file system of its own must be mounted for it; the answer is `MISCONF`, as of a failed snapshot"},
		{Name: "a script that does not end (`BUSY`)", Produce: on(busyScript, "--busy-reply-threshold", "50")},
		{Name: "loading its data", Produce: loading},
		{Name: "wrong password", Produce: func(tb testing.TB) resilient.KVWithHealth {
			s := servertest.Redis(tb, "--requirepass", canaryPassword)
			kv, err := Open("redis://:wrong@"+s.Addr(), Config{})
			require.NoError(tb, err)
			tb.Cleanup(func() { _ = kv.Close() })
			return kv
		}},
		{Name: "the user may not write (ACL)", Produce: withUser("~*", "+@all", "-@write")},
		{Name: "the user may not use other keys (ACL `~holdfast:*`) nor `ROLE`", Works: true, Produce: withUser("~holdfast:*", "+@read", "+@write")},
		{Name: "a cluster without all its slots (`CLUSTERDOWN`)", Produce: func(tb testing.TB) resilient.KVWithHealth {
			nodes := servertest.RedisCluster(tb, 1)
			client := redis.NewClusterClient(clusterOptions(nodes))
			kv, err := New(client, Config{})
			require.NoError(tb, err)
			tb.Cleanup(func() { require.NoError(tb, kv.Close()); require.NoError(tb, client.Close()) })
			require.NoError(tb, kv.Health(tb.Context()))
			do(tb, nodes[0], "CLUSTER", "DELSLOTS", 1)
			require.Eventually(tb, func() bool { return kv.Health(tb.Context()) != nil }, patience, tooLate/100)
			return kv
		}},
	}
}

// fillMemory writes until the server takes no more.
func fillMemory(tb testing.TB, s *servertest.Server) {
	client, value := bare(tb, s), strings.Repeat("x", 10_000)
	for i := 0; ; i++ {
		if err := client.Set(tb.Context(), fmt.Sprint("fill", i), value, 0).Err(); err != nil {
			require.True(tb, redis.IsOOMError(err), "%v", err)
			do(tb, s, "CONFIG", "SET", "maxmemory", "2500kb") // no write fits, however small
			return
		}
	}
}

// failSnapshot makes a snapshot fail: there is a folder where it should be.
func failSnapshot(tb testing.TB, s *servertest.Server) {
	require.NoError(tb, mkdir(s, "taken/inside"))
	do(tb, s, "BGSAVE")
	client := bare(tb, s)
	require.Eventually(tb, func() bool {
		info, err := client.Info(tb.Context(), "persistence").Result()
		return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
	}, patience, tooLate/100)
}

// busyScript occupies the server's thread until the test ends.
func busyScript(tb testing.TB, s *servertest.Server) {
	client, done := bare(tb, s), make(chan struct{})
	go func() {
		defer close(done)
		_ = client.Eval(tb.Context(), "while true do end", nil).Err()
	}()
	other := bare(tb, s)
	require.Eventually(tb, func() bool { return redis.HasErrorPrefix(other.Ping(tb.Context()).Err(), "BUSY") }, patience, tooLate/100)
	tb.Cleanup(func() { s.Kill(); <-done })
}

// loading makes a server read its own snapshot, slowly.
func loading(tb testing.TB) resilient.KVWithHealth {
	s := servertest.Redis(tb, "--appendonly", "no", "--enable-debug-command", "yes",
		"--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024")
	kv := open(tb, s, Config{})
	client, done := bare(tb, s), make(chan struct{})
	_, err := client.Pipelined(tb.Context(), func(p redis.Pipeliner) error {
		for i := range 60_000 { // 30 s of loading, LOADING answered every 50 ms or so
			p.Set(tb.Context(), fmt.Sprint("fill", i), "x", 0)
		}
		return nil
	})
	require.NoError(tb, err)
	go func() {
		defer close(done)
		_ = client.Do(tb.Context(), "DEBUG", "RELOAD").Err()
	}()
	tb.Cleanup(func() { s.Kill(); <-done })
	other := bare(tb, s)
	require.Eventually(tb, func() bool { return redis.IsLoadingError(other.Ping(tb.Context()).Err()) }, patience, tooLate/100)
	return kv
}

// withUser returns a Produce whose store is a user of those rules.
func withUser(rules ...string) func(tb testing.TB) resilient.KVWithHealth {
	return func(tb testing.TB) resilient.KVWithHealth {
		s := servertest.Redis(tb)
		command := []any{"ACL", "SETUSER", "app", "on", ">" + canaryPassword}
		for _, r := range rules {
			command = append(command, r)
		}
		do(tb, s, command...)
		kv, err := Open("redis://app:"+canaryPassword+"@"+s.Addr(), Config{})
		require.NoError(tb, err)
		tb.Cleanup(func() { require.NoError(tb, kv.Close()) })
		return kv
	}
}
