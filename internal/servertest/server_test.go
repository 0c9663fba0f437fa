package servertest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ask sends one line to a redis and returns the first line of the answer.
func ask(tb testing.TB, c net.Conn, line string) (string, error) {
	tb.Helper()
	require.NoError(tb, c.SetDeadline(time.Now().Add(300*time.Millisecond)))
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	return answer, err
}

func connect(tb testing.TB, s *Server) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", s.Addr())
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAServerIsKilledFrozenWokenAndStartedAgainWithItsData(t *testing.T) {
	s := Redis(t)
	c := connect(t, s)
	answer, err := ask(t, c, "SET key value")
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n", answer)

	s.Freeze()
	_, err = ask(t, c, "SET key frozen")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "a frozen server does not answer")
	s.Wake()
	answer, err = ask(t, connect(t, s), "STRLEN key")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(":%d\r\n", len("frozen")), answer, "what was sent to it meanwhile is done")

	for _, end := range []func(){s.Kill, s.Stop} {
		end()
		_, err = net.Dial("tcp", s.Addr())
		require.Error(t, err)
		s.Start()
		answer, err = ask(t, connect(t, s), "STRLEN key")
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(":%d\r\n", len("frozen")), answer)
	}
}

func TestAServerInMemoryKeepsItsDataWhenItIsKilled(t *testing.T) {
	s := InMemory(t, Redis, "--databases", "1")
	if folder := memoryFolder(); folder != "" {
		require.Equal(t, folder, filepath.Dir(s.Dir()))
	}
	answer, err := ask(t, connect(t, s), "SET key value")
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n", answer)
	s.Kill()
	s.Start()
	answer, err = ask(t, connect(t, s), "STRLEN key")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf(":%d\r\n", len("value")), answer)
}

func TestTheEndOfATestEndsItsServer(t *testing.T) {
	redisServer.find(t)
	for _, begin := range []func(tb testing.TB) *Server{
		func(tb testing.TB) *Server { return Redis(tb) },
		func(tb testing.TB) *Server { return InMemory(tb, Redis) },
	} {
		var s *Server
		t.Run("a test", func(t *testing.T) { s = begin(t) })
		require.Nil(t, s.running())
		_, err := net.Dial("tcp", s.Addr())
		require.Error(t, err)
		require.NoDirExists(t, s.Dir())
	}
}

func TestAProgramIsFoundByItsVariableOrMissed(t *testing.T) {
	p := program{variable: "HOLDFAST_NOTHING", name: "no-such-server", debian: "nothing"}
	_, err := p.look()
	require.EqualError(t, err, "no-such-server is not here: install Debian's nothing or set HOLDFAST_NOTHING to its path")

	path := filepath.Join(t.TempDir(), "server")
	t.Setenv("HOLDFAST_NOTHING", path)
	_, err = p.look()
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "HOLDFAST_NOTHING")
	require.NoError(t, os.WriteFile(path, nil, 0o700))
	found, err := p.look()
	require.NoError(t, err)
	require.Equal(t, path, found)
}
