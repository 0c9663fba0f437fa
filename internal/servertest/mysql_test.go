package servertest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTwoMySQLServersShareNothingAndStartAgain(t *testing.T) {
	one, two := MySQL(t), MySQL(t)
	require.NotEqual(t, one.Dir(), two.Dir())
	require.DirExists(t, one.Dir()+"/data/holdfast", "the database is made before the server listens")
	one.Kill()
	_, err := net.Dial("tcp", one.Addr())
	require.Error(t, err)
	require.NoError(t, mysqlReady(t.Context(), two.Addr()))
	one.Start()
	require.NoError(t, mysqlReady(t.Context(), one.Addr()))
	one.Freeze()
	require.Error(t, mysqlReady(t.Context(), one.Addr()), "a frozen server does not greet")
	one.Wake()
	two.Stop()
}
