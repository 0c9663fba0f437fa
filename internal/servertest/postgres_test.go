package servertest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// psql runs one statement with PostgreSQL's own client and returns the answer.
func psql(tb testing.TB, s *Server, statement string) string {
	tb.Helper()
	out, err := s.Run(pgTool("psql"), "--no-psqlrc", "-qtA", "-c", statement, PostgresURL(s))
	require.NoError(tb, err)
	return strings.TrimSpace(out)
}

func TestAPostgresIsDurableAndAStandbyFollowsIt(t *testing.T) {
	primary := Postgres(t, "max_connections=7")
	require.Equal(t, "7", psql(t, primary, "show max_connections"))
	require.Equal(t, "on on", psql(t, primary, "select current_setting('fsync') || ' ' || current_setting('synchronous_commit')"))
	psql(t, primary, "create table t (a int); insert into t values (42)")

	standby := PostgresStandby(t, primary, "max_connections=7")
	require.Equal(t, "t", psql(t, standby, "select pg_is_in_recovery()"))
	require.Equal(t, "42", psql(t, standby, "select a from t"), "the backup has it")
	psql(t, primary, "insert into t values (43)")
	require.Eventually(t, func() bool { return psql(t, standby, "select count(*) from t") == "2" }, startWithin, 50*time.Millisecond)

	for range 5 {
		connect(t, primary) // has a process of its own, which dies with the others
		primary.Kill()
		primary.Start()
	}
	require.Equal(t, "2", psql(t, primary, "select count(*) from t"))
}

func TestAFrozenPostgresAnswersNoSession(t *testing.T) {
	s := Postgres(t)
	c := connect(t, s)
	// Its own process serves this connection, in a group of its own.
	s.Freeze()
	require.NoError(t, c.SetDeadline(time.Now().Add(300*time.Millisecond)))
	_, err := c.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}) // asks for TLS; the answer is one letter
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	s.Wake()
	require.NoError(t, c.SetDeadline(time.Now().Add(startWithin)))
	n, err := c.Read(make([]byte, 1))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	s.Stop()
	_, err = net.Dial("tcp", s.Addr())
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(s.Dir(), "data", "postmaster.pid"), "it was stopped in order")
}
