package servertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var redisServer = program{variable: "HOLDFAST_REDIS_SERVER", name: "redis-server", debian: "redis-server"}

// Redis starts a redis-server that keeps what it acknowledges: every write is
// in its append-only file, on the disk, before it answers. Further settings are
// given as on its command line: "--maxmemory", "3mb".
func Redis(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, spec{
		name:    "redis",
		program: redisServer.find(tb),
		args: func(dir string, port int) []string {
			return append([]string{
				"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--daemonize", "no",
				"--appendonly", "yes", "--appendfsync", "always", "--save", "",
			}, settings...)
		},
		ready: redisReady,
		stop:  syscall.SIGTERM,
	})
}

// redisReady asks for a PONG; a server that wants a password is ready too.
func redisReady(ctx context.Context, addr string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
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
