package servertest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var redisServer = program{variable: "HOLDFAST_REDIS_SERVER", name: "redis-server", debian: "redis-server"}

// Redis starts a redis-server that keeps what it acknowledges: every write is
// in its append-only file, on the disk, before it answers. Further settings are
// given as on its command line: "--maxmemory", "3mb".
func Redis(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, redisSpec(tb, redisReady, func(port int) []string {
		return append([]string{"--port", strconv.Itoa(port)}, settings...)
	}))
}

// RedisReplica starts a redis-server that copies primary, and waits until it
// has done so once.
func RedisReplica(tb testing.TB, primary *Server, settings ...string) *Server {
	tb.Helper()
	s := Redis(tb, append([]string{"--replicaof", "127.0.0.1 " + strconv.Itoa(primary.port)}, settings...)...)
	s.until("INFO replication", "master_link_status:up")
	return s
}

// RedisTLS starts a redis-server that speaks TLS only, with a certificate that
// pool trusts. It asks its clients for none.
func RedisTLS(tb testing.TB, settings ...string) (s *Server, pool *x509.CertPool) {
	tb.Helper()
	dir, pool := Certificate(tb)
	ready := func(ctx context.Context, addr string) error {
		c, err := dial(ctx, addr)
		if err != nil {
			return err
		}
		defer c.Close()
		return redisPing(tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "localhost"}))
	}
	return start(tb, redisSpec(tb, ready, func(port int) []string {
		return append([]string{
			"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no",
			"--tls-cert-file", filepath.Join(dir, CertificateFile), "--tls-key-file", filepath.Join(dir, KeyFile),
		}, settings...)
	})), pool
}

// RedisCluster starts a Redis Cluster of so many primaries, which share the
// slots between them and have no replicas.
func RedisCluster(tb testing.TB, primaries int) []*Server {
	tb.Helper()
	const slots = 16384
	var all []*Server
	for i := range primaries {
		bus := strconv.Itoa(freePort(tb))
		s := Redis(tb, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
		all = append(all, s)
		s.must(fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", slots*i/primaries, slots*(i+1)/primaries-1))
		all[0].must(fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %s", s.port, bus))
	}
	for _, s := range all {
		s.until("CLUSTER INFO", "cluster_state:ok")
		s.until("CLUSTER INFO", "cluster_slots_ok:"+strconv.Itoa(slots))
	}
	return all
}

func redisSpec(tb testing.TB, ready func(ctx context.Context, addr string) error, args func(port int) []string) spec {
	tb.Helper()
	return spec{
		name:    "redis",
		program: redisServer.find(tb),
		args: func(dir string, port int) []string {
			return append([]string{
				"--bind", "127.0.0.1", "--dir", dir, "--daemonize", "no",
				"--appendonly", "yes", "--appendfsync", "always", "--save", "",
				"--repl-diskless-sync-delay", "0", // the default waits 5 s for more replicas
			}, args(port)...)
		},
		ready: ready,
		stop:  syscall.SIGTERM,
	}
}

// redisReady asks for a PONG over a plaintext connection.
func redisReady(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return redisPing(c)
}

// redisPing asks for a PONG; a server that wants a password is ready too.
func redisPing(c net.Conn) error {
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		return fmt.Errorf("it answers %q: %w", strings.TrimSpace(line), os.ErrInvalid)
	}
	return nil
}

// must sends one line to a redis, which has to answer OK.
func (s *Server) must(line string) {
	s.tb.Helper()
	if answer, err := redisAsk(s.Addr(), line); err != nil || !strings.HasPrefix(answer, "+OK") {
		s.tb.Fatalf("servertest: redis answers %s with %q, %v", line, answer, err)
	}
}

// until repeats line until the answer of the redis holds want.
func (s *Server) until(line, want string) {
	s.tb.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		answer, err := redisAsk(s.Addr(), line)
		if err == nil && strings.Contains(answer, want) {
			return
		}
		if time.Since(began) > startWithin {
			s.tb.Fatalf("servertest: redis does not come to %q in %v: %q, %v", want, startWithin, answer, err)
		}
	}
}

// redisAsk sends one line over a connection of its own and returns all that is
// answered.
func redisAsk(addr, line string) (string, error) {
	c, err := dial(context.Background(), addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, line+"\r\nQUIT\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}
