package etcdkv

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	server := servertest.Etcd(t)
	status, err := driver(t, clientv3.Config{}, server).Status(t.Context(), server.Addr())
	require.NoError(t, err)
	one := func(do func(s *servertest.Server)) func(testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.Etcd(tb)
			kv := open(tb, Config{}, server)
			works(tb, kv)
			do(server)
			return kv
		}
	}
	three := func(do func(tb testing.TB, kv *KV, members []*servertest.Server)) func(testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			members := servertest.EtcdCluster(tb, 3)
			kv := open(tb, Config{Timeout: time.Second}, members...)
			works(tb, kv)
			do(tb, kv, members)
			return kv
		}
	}
	user := func(name, password string) func(testing.TB) resilient.KVWithHealth {
		return func(tb testing.TB) resilient.KVWithHealth {
			server := servertest.Etcd(tb)
			withUsers(tb, server)
			return open(tb, Config{Username: name, Password: password}, server)
		}
	}
	compattest.Run(t, compattest.Section{
		Backend:  "etcdkv",
		Versions: "etcd client v3.7.3, and etcd " + status.Version + " with its default settings",
		Facts: []compattest.Fact{
			{Name: "Largest key", Text: "512 bytes"},
			{Name: "Largest value", Text: "1 MiB (`Config.MaxValue`; the server takes requests of 1.5 MiB)"},
			{Name: "Keys refused besides those that every store refuses", Text: "none"},
			{Name: "A batch is", Text: "one transaction for each 128 keys or 1 MiB; not atomic beyond that"},
			{Name: "An acknowledged write survives", Text: "the death of any minority of the members, and of all of them as long as " +
				"their disks are left: a majority has it in its log and has synced that (`--unsafe-no-fsync`, of later versions, off)"},
			{Name: "Set on the driver", Text: "one try and no waiting for a connection (else a write that was never sent looks like " +
				"one whose answer was lost), keepalive 10 s and 3 s, reconnecting within 500 ms, a silent logger"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: one(func(*servertest.Server) {})},
			{Name: "killed (SIGKILL)", Produce: one((*servertest.Server).Kill)},
			{Name: "frozen (SIGSTOP)", Produce: one((*servertest.Server).Freeze)},
			{Name: "restarted", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				kv := one(func(s *servertest.Server) { s.Kill(); s.Start() })(tb).(*KV)
				works(tb, kv)
				return kv
			}},
			{Name: "three members, the first endpoint killed", Works: true,
				Produce: three(func(tb testing.TB, kv *KV, members []*servertest.Server) {
					members[0].Kill()
					works(tb, kv)
				})},
			{Name: "three members, the leader killed, after the election", Works: true,
				Produce: three(func(tb testing.TB, kv *KV, members []*servertest.Server) {
					members[leader(tb, members)].Kill()
					works(tb, kv)
				})},
			{Name: "three members, two of them killed",
				Produce: three(func(tb testing.TB, kv *KV, members []*servertest.Server) {
					members[0].Kill()
					members[1].Kill()
					refuses(tb, kv)
				})},
			{Name: "three members, two of them frozen, after 13 s",
				Produce: three(func(tb testing.TB, kv *KV, members []*servertest.Server) {
					members[0].Freeze()
					members[1].Freeze()
					refuses(tb, kv)
				})},
			{Name: "database over its quota (NOSPACE)", Produce: func(tb testing.TB) resilient.KVWithHealth { return full(tb) }},
			{Name: "members differ (CORRUPT)", Produce: func(tb testing.TB) resilient.KVWithHealth { return corrupt(tb) }},
			{Name: "the user may only read", Produce: user("reader", secret)},
			{Name: "wrong password", Produce: user("writer", "wrong")},
		},
	})
}

// refuses waits until calls meet none but members that know that they are cut
// off.
func refuses(tb testing.TB, kv *KV) {
	tb.Helper()
	inARow := 0
	require.Eventually(tb, func() bool {
		inARow++
		if err := kv.SetRaw(tb.Context(), "key", nil); !errors.Is(err, resilient.ErrRefused) {
			inARow = 0
		}
		return inARow == 12
	}, 2*patience, 10*time.Millisecond, "the others are left alone")
}
