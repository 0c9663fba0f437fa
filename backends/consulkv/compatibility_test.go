package consulkv

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/internal/compattest"
	"github.com/holdfastkv/holdfast/internal/servertest"
	"github.com/holdfastkv/holdfast/resilient"
)

func TestCompatibility(t *testing.T) {
	compattest.Run(t, compattest.Section{
		Backend:  "consulkv",
		Versions: "github.com/hashicorp/consul/api v1.34.4 and Consul " + version(t, servertest.Consul(t)),
		Facts: []compattest.Fact{
			{Name: "Largest key and value", Text: "512 bytes; `Config.MaxValue`, 512 KiB by default as Consul's `kv_max_value_size`"},
			{Name: "Keys refused", Text: "none of the contract's domain; stored escaped, as no URL and no server changes them"},
			{Name: "A batch", Text: "is not atomic: transactions of 64 keys and 256 KiB, each of which is"},
			{Name: "An acknowledged write survives", Text: "every machine if a majority of disks does: raft logs of servers that are not `-dev` agents, as Consul is by default"},
			{Name: "Set on the driver", Text: "consistent reads, no redirects, nothing from `CONSUL_*` variables, 1 s to dial, 32 connections, no proxy, HTTP/1.1"},
		},
		States: []compattest.State{
			{Name: "well", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				return open(tb, servertest.Consul(tb).Addr(), Config{})
			}},
			{Name: "started again after SIGKILL", Works: true, Produce: restarted},
			{Name: "killed (SIGKILL)", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.Consul(tb)
				kv := used(tb, server)
				server.Kill()
				return kv
			}},
			{Name: "frozen (SIGSTOP)", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.Consul(tb)
				kv := used(tb, server)
				server.Freeze()
				return kv
			}},
			{Name: "three servers, another one is killed", Works: true, Produce: func(tb testing.TB) resilient.KVWithHealth {
				servers := servertest.ConsulCluster(tb)
				kv := used(tb, servers[0])
				servers[1].Kill()
				servertest.AwaitConsul(servers[0])
				return kv
			}},
			{Name: "three servers, the other two are killed: no leader", Produce: alone},
			{Name: "the token may only read", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.ConsulWithACL(tb)
				return open(tb, server.Addr(), Config{Token: token(tb, server, `key_prefix "holdfast/" { policy = "read" }`)})
			}},
			{Name: "the token may only use another folder", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.ConsulWithACL(tb)
				return open(tb, server.Addr(), Config{Token: token(tb, server, `key_prefix "other/" { policy = "write" }`)})
			}},
			{Name: "the token is a wrong one", Produce: func(tb testing.TB) resilient.KVWithHealth {
				return open(tb, servertest.ConsulWithACL(tb).Addr(), Config{Token: "00000000-0000-0000-0000-000000000000"})
			}},
			{Name: "over `limits.request_limits`", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.Consul(tb, `limits { request_limits { mode = "enforcing", read_rate = 0, write_rate = 0 } }`)
				return open(tb, server.Addr(), Config{})
			}},
			{Name: "over `limits.request_limits` for writes, with `Config.Canary`", Produce: func(tb testing.TB) resilient.KVWithHealth {
				server := servertest.Consul(tb, `limits { request_limits { mode = "enforcing", read_rate = -1, write_rate = 0 } }`)
				return open(tb, server.Addr(), Config{Canary: true})
			}},
			{Name: "the disk is full", NotProduced: "Consul takes a folder and no size; what it answers then is class Failed unless it says more. Only `Config.Canary` finds out"},
		},
	})
}

// used returns a store on server that has a connection.
func used(tb testing.TB, server *servertest.Server) *KV {
	tb.Helper()
	kv := open(tb, server.Addr(), Config{})
	require.NoError(tb, kv.SetRaw(tb.Context(), "before", []byte("value")))
	return kv
}

func restarted(tb testing.TB) resilient.KVWithHealth {
	tb.Helper()
	server := servertest.Consul(tb)
	kv := used(tb, server)
	server.Kill()
	server.Start()
	value, err := kv.GetRaw(tb.Context(), "before")
	require.NoError(tb, err)
	require.Equal(tb, "value", string(value))
	return kv
}

// alone returns a store on a server that has lost the others and knows it.
func alone(tb testing.TB) resilient.KVWithHealth {
	tb.Helper()
	servers := servertest.ConsulCluster(tb)
	kv := used(tb, servers[0])
	servers[1].Kill()
	servers[2].Kill()
	require.Eventually(tb, func() bool {
		leader, err := kv.client.Status().Leader()
		return err == nil && leader == ""
	}, patience, 50*time.Millisecond)
	return kv
}

// version returns what server calls itself.
func version(tb testing.TB, server *servertest.Server) string {
	tb.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(fmt.Sprintf("http://%s/v1/agent/self", server.Addr()))
	require.NoError(tb, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	_, rest, _ := strings.Cut(string(body), `"Version":"`)
	number, _, ok := strings.Cut(rest, `"`)
	require.True(tb, ok)
	return number
}
