package servertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var consul = program{variable: "HOLDFAST_CONSUL", name: "consul"}

// ConsulToken is the token of the servers of ConsulWithACL that may do all.
const ConsulToken = "5f2c7f3e-7c7e-4d6a-9d0c-0123456789ab"

// Consul starts a Consul agent that is the only server of its data center, and
// waits until it leads. Addr is that of its HTTP API. It is no -dev agent: its
// data are on the disk. Further settings are given in HCL:
// `limits { http_max_conns_per_client = 3 }`.
func Consul(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, consulSpec(tb, 0, "", append([]string{"bootstrap_expect = 1"}, settings...), consulLeads("")))
}

// ConsulWithACL starts a server that lets nobody do anything without a token.
// ConsulToken makes others.
func ConsulWithACL(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	acl := fmt.Sprintf(`acl { enabled = true, default_policy = "deny", tokens { initial_management = %q } }`, ConsulToken)
	return start(tb, consulSpec(tb, 0, "", append([]string{"bootstrap_expect = 1", acl}, settings...), consulLeads(ConsulToken)))
}

// ConsulWithoutLeader starts a server that waits for a second one before they
// elect a leader, and that never finds it.
func ConsulWithoutLeader(tb testing.TB) *Server {
	tb.Helper()
	return start(tb, consulSpec(tb, 0, "", []string{"bootstrap_expect = 2"}, consulAnswers))
}

// ConsulCluster starts three servers that elect a leader, and waits until each
// knows it. Each can be killed, frozen and started again on its own.
func ConsulCluster(tb testing.TB) []*Server {
	tb.Helper()
	gossip := make([]int, 3)
	join := make([]string, len(gossip))
	for i := range gossip {
		gossip[i] = freePort(tb)
		join[i] = strconv.Quote("127.0.0.1:" + strconv.Itoa(gossip[i]))
	}
	settings := []string{
		"bootstrap_expect = 3",
		"retry_join = [" + strings.Join(join, ", ") + "]",
		`retry_interval = "1s"`,
	}
	servers := make([]*Server, len(gossip))
	for i := range servers {
		servers[i] = start(tb, consulSpec(tb, gossip[i], "node"+strconv.Itoa(i), settings, consulAnswers))
	}
	for _, s := range servers {
		AwaitConsul(s)
	}
	return servers
}

// AwaitConsul waits until s answers consistent reads: it follows a leader whom a
// majority follows. One server of a cluster does not notice at once that another
// is gone, or back.
func AwaitConsul(s *Server) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for ready := consulLeads(""); ; time.Sleep(10 * time.Millisecond) {
		err := ready(ctx, s.Addr())
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			s.tb.Fatalf("servertest: consul has no leader after %v: %v: %s", startWithin, err, s.lastLog())
		}
	}
}

// consulSpec says how a server is started. gossip is the port that the others of
// a cluster know it by; 0 = it has none, and takes a free one.
func consulSpec(tb testing.TB, gossip int, node string, settings []string, ready func(context.Context, string) error) spec {
	tb.Helper()
	lastPort, serf, rpc := 0, gossip, 0
	return spec{
		name:    "consul",
		program: consul.find(tb),
		args: func(dir string, port int) []string {
			if port != lastPort { // not the same server once more
				lastPort, rpc = port, freePort(tb)
				if gossip == 0 {
					serf = freePort(tb)
				}
			}
			args := []string{
				"agent", "-server", "-data-dir", dir, "-bind", "127.0.0.1", "-client", "127.0.0.1",
				"-http-port", strconv.Itoa(port), "-serf-lan-port", strconv.Itoa(serf), "-server-port", strconv.Itoa(rpc),
				"-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-port", "-1", "-grpc-tls-port", "-1",
				"-disable-host-node-id", "-log-level", "err",
				"-hcl", "disable_update_check = true",
				"-hcl", "performance { raft_multiplier = 1 }", // elects a leader as fast as it can
			}
			if node != "" {
				args = append(args, "-node", node)
			}
			for _, s := range settings {
				args = append(args, "-hcl", s)
			}
			return args
		},
		ready: ready,
		stop:  syscall.SIGTERM,
	}
}

// consulLeads waits for a consistent read: there is a leader, and a majority
// follows it. A server that takes no more requests for now is ready too.
func consulLeads(token string) func(ctx context.Context, addr string) error {
	return func(ctx context.Context, addr string) error {
		status, err := consulGet(ctx, addr, "/v1/kv/servertest?consistent", token)
		switch {
		case err != nil:
			return err
		case status == http.StatusNotFound, status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
			return nil
		}
		return fmt.Errorf("it answers with status %d: %w", status, os.ErrInvalid)
	}
}

// consulAnswers does not ask for a leader.
func consulAnswers(ctx context.Context, addr string) error {
	_, err := consulGet(ctx, addr, "/v1/status/leader", "")
	return err
}

func consulGet(ctx context.Context, addr, path, token string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Consul-Token", token)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}
