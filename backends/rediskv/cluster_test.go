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

// around is a hook that calls its function in place of each SCAN; next sends it.
type around func(ctx context.Context, next func() error) error

func (around) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (around) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a around) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "scan" {
			return next(ctx, cmd)
		}
		return a(ctx, func() error { return next(ctx, cmd) })
	}
}

// reshard moves slots from one primary to another as redis-cli does.
type reshard struct {
	t            *testing.T
	from, to     *redis.Client
	fromID, toID string
}

func newReshard(t *testing.T, from, to *servertest.Server) *reshard {
	t.Helper()
	r := &reshard{t: t, from: bare(t, from), to: bare(t, to)}
	r.fromID, r.toID = r.ask(r.from, "CLUSTER", "MYID"), r.ask(r.to, "CLUSTER", "MYID")
	return r
}

func (r *reshard) ask(c *redis.Client, words ...any) string {
	r.t.Helper()
	answer, err := c.Do(r.t.Context(), words...).Text()
	require.NoError(r.t, err)
	return answer
}

// begin marks the slot on both sides, moveKey moves one of its keys, and end
// gives it to the other.
func (r *reshard) begin(slot int64) {
	r.t.Helper()
	r.ask(r.to, "CLUSTER", "SETSLOT", slot, "IMPORTING", r.fromID)
	r.ask(r.from, "CLUSTER", "SETSLOT", slot, "MIGRATING", r.toID)
}

func (r *reshard) moveKey(key string) {
	r.t.Helper()
	host, port, err := net.SplitHostPort(r.to.Options().Addr)
	require.NoError(r.t, err)
	r.ask(r.from, "MIGRATE", host, port, key, 0, 5000)
}

func (r *reshard) end(slot int64) {
	r.t.Helper()
	r.ask(r.to, "CLUSTER", "SETSLOT", slot, "NODE", r.toID)
	r.ask(r.from, "CLUSTER", "SETSLOT", slot, "NODE", r.toID)
}

// keyOf returns a key of the namespace whose slot the second of two primaries
// has, and that slot.
func keyOf(t *testing.T, client *redis.ClusterClient, namespace string) (key string, slot int64) {
	t.Helper()
	for i := 0; ; i++ {
		key = fmt.Sprintf("key-%d", i)
		slot, err := client.ClusterKeySlot(t.Context(), namespace+":"+key).Result()
		require.NoError(t, err)
		if slot >= allSlots/2 {
			return key, slot
		}
	}
}

func TestRegression_AListLackedAKeyThatAClusterMovedInIt(t *testing.T) {
	nodes := servertest.RedisCluster(t, 2)
	client := redis.NewClusterClient(clusterOptions(nodes))
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	move := newReshard(t, nodes[1], nodes[0])
	cfg := Config{Namespace: fresh()}
	var (
		key     string
		slot    int64
		scanned = make(chan struct{})
		moving  = true
	)
	client.OnNewNode(func(c *redis.Client) {
		first := c.Options().Addr == nodes[0].Addr()
		c.AddHook(around(func(_ context.Context, next func() error) error {
			switch {
			case !moving:
				return next()
			case first:
				defer close(scanned)
				return next()
			}
			<-scanned
			move.begin(slot)
			move.moveKey(cfg.Namespace + ":" + key)
			move.end(slot)
			return next()
		}))
	})
	key, slot = keyOf(t, client, cfg.Namespace)
	kv, err := New(client, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	require.NoError(t, kv.SetRaw(t.Context(), key, nil))

	keys, err := kv.List(t.Context(), "")
	require.ErrorIs(t, err, errMoving, "%q", keys)
	require.Equal(t, resilient.Conflict, kv.Classify(err))
	moving = false
	keys, err = kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{key}, keys)

	// A slot that rests half way.
	move = newReshard(t, nodes[0], nodes[1])
	move.begin(slot)
	_, err = kv.List(t.Context(), "")
	require.ErrorIs(t, err, errMoving)
	move.moveKey(cfg.Namespace + ":" + key)
	_, err = kv.List(t.Context(), "")
	require.ErrorIs(t, err, errMoving)
	move.end(slot)
	keys, err = kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{key}, keys)
}

func TestAListOfAClusterThatDoesNotTellItsSlotsIsBelieved(t *testing.T) {
	nodes := servertest.RedisCluster(t, 2)
	for _, s := range nodes {
		require.NoError(t, bare(t, s).Do(t.Context(), "ACL", "SETUSER", "default", "-cluster|nodes").Err())
	}
	client := redis.NewClusterClient(clusterOptions(nodes))
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	kv, err := New(client, Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kv.Close()) })
	require.NoError(t, kv.SetRaw(t.Context(), "key", nil))
	keys, err := kv.List(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, []string{"key"}, keys)
}

func TestSlotsAreCounted(t *testing.T) {
	for _, c := range []struct {
		slots   []string
		count   int
		resting bool
	}{
		{nil, 0, true},
		{[]string{"0-8191", "9000", "10000-10001"}, 8195, true},
		{[]string{"0-8191", "[77->-07c37dfeb235213a872192d90877d0cd55635b91]"}, 8192, false},
		{[]string{"[93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]"}, 0, false},
		{[]string{"0-"}, 0, false},
	} {
		n, resting := count(c.slots)
		require.Equal(t, c.count, n, c.slots)
		require.Equal(t, c.resting, resting, c.slots)
	}
}

func TestAnErrorOfAConnectionIsNoAnswerAboutSlots(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	require.NoError(t, client.Close())
	_, told, err := slotsOf(t.Context(), client.Conn())
	require.ErrorIs(t, err, redis.ErrClosed)
	require.False(t, told)
}
