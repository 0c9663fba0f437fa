package servertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var etcdServer = program{variable: "HOLDFAST_ETCD", name: "etcd", debian: "etcd-server"}

// Etcd starts a cluster of one member, which keeps what it acknowledges: every
// write is in its log, on the disk, before it answers. Further settings are
// given as on its command line: "--quota-backend-bytes", "20000000". With
// "--cert-file" it speaks TLS to its clients.
func Etcd(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	lastPort, peer := 0, 0
	return start(tb, etcdSpec(etcdServer.find(tb), settings, func(port int) (name string, members []string) {
		if port != lastPort {
			lastPort, peer = port, freePort(tb)
		}
		return "m0", []string{peerURL(peer)}
	}))
}

// EtcdCluster starts a cluster of n members with a server each. One that was
// killed answers again as soon as more than half of all members run.
func EtcdCluster(tb testing.TB, n int, settings ...string) []*Server {
	tb.Helper()
	var err error
	for range 3 { // somebody else may have taken a port in between
		var members []*Server
		if members, err = etcdMembers(tb, n, settings); err == nil {
			return members
		}
		for _, m := range members {
			m.Kill()
		}
	}
	tb.Fatalf("servertest: %v", err)
	return nil
}

// etcdMembers starts n members, and only then waits for them: none answers
// before the others run.
func etcdMembers(tb testing.TB, n int, settings []string) ([]*Server, error) {
	tb.Helper()
	program := etcdServer.find(tb)
	urls := make([]string, n)
	for i := range urls {
		urls[i] = peerURL(freePort(tb))
	}
	members := make([]*Server, n)
	runs := make([]*run, n)
	for i := range members {
		s := etcdSpec(program, settings, func(int) (string, []string) { return "m" + strconv.Itoa(i), urls })
		members[i] = &Server{tb: tb, spec: s, dir: folder(tb, ""), port: freePort(tb)}
		tb.Cleanup(members[i].Kill)
	}
	for i, m := range members {
		var err error
		if runs[i], err = m.begin(); err != nil {
			return members[:i], err
		}
	}
	for i, m := range members {
		if err := m.await(runs[i]); err != nil {
			return members, err
		}
	}
	return members, nil
}

func peerURL(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }

// etcdSpec says how a member is started: who tells its name, m0 and on, and the
// peer addresses of all members in their order.
func etcdSpec(program string, settings []string, who func(port int) (name string, members []string)) spec {
	scheme := "http://"
	if slices.Contains(settings, "--cert-file") {
		scheme = "https://"
	}
	return spec{
		name:    "etcd",
		program: program,
		args: func(dir string, port int) []string {
			name, members := who(port)
			all := make([]string, len(members))
			for i, url := range members {
				all[i] = fmt.Sprintf("m%d=%s", i, url)
			}
			self, _ := strconv.Atoi(strings.TrimPrefix(name, "m"))
			client := scheme + "127.0.0.1:" + strconv.Itoa(port)
			return append([]string{
				"--name", name, "--data-dir", filepath.Join(dir, "data"), "--initial-cluster", strings.Join(all, ","),
				"--listen-client-urls", client, "--advertise-client-urls", client,
				"--listen-peer-urls", members[self], "--initial-advertise-peer-urls", members[self],
			}, settings...)
		},
		ready: func(ctx context.Context, addr string) error { return etcdReady(ctx, scheme+addr) },
		stop:  syscall.SIGTERM,
	}
}

// etcdReady asks the member whether it has a leader and a read works.
func etcdReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // nothing is told it, and it is on the loopback
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %q: %w", resp.Status, os.ErrInvalid)
	}
	return nil
}
