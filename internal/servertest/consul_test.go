package servertest

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kv makes a request of a Consul's key-value store and returns the answer.
func kv(tb testing.TB, s *Server, method, query, body string) (status int, answer string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://"+s.Addr()+"/v1/kv/key"+query, strings.NewReader(body))
	require.NoError(tb, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	return resp.StatusCode, string(all)
}

func TestAConsulKeepsItsDataOverARestart(t *testing.T) {
	s := Consul(t)
	_, answer := kv(t, s, http.MethodPut, "", "value")
	require.Equal(t, "true", answer)
	for _, end := range []func(){s.Kill, s.Stop} {
		end()
		s.Start()
		status, answer := kv(t, s, http.MethodGet, "?raw&consistent", "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "value", answer)
	}
}

func TestAConsulClusterGoesOnWithoutOneServer(t *testing.T) {
	servers := ConsulCluster(t)
	_, answer := kv(t, servers[0], http.MethodPut, "", "value")
	require.Equal(t, "true", answer)
	servers[0].Kill()
	AwaitConsul(servers[1])
	_, answer = kv(t, servers[1], http.MethodGet, "?raw&consistent", "")
	require.Equal(t, "value", answer)
	servers[0].Start()
	status, _ := kv(t, servers[0], http.MethodGet, "?raw&stale", "")
	require.Equal(t, http.StatusOK, status)
}

func TestAConsulWithACLAsksForAToken(t *testing.T) {
	status, _ := kv(t, ConsulWithACL(t), http.MethodGet, "", "")
	require.Equal(t, http.StatusForbidden, status)
}

func TestRegression_AConsulDidNotStartWhenSomebodyTookAPortThatItHadChosen(t *testing.T) {
	for _, flag := range []string{"-serf-lan-port", "-server-port"} {
		s := consulSpec(t, 0, "", []string{"bootstrap_expect = 1"}, consulLeads(""))
		args, tries := s.args, 0
		s.args = func(dir string, port int) []string {
			all := args(dir, port)
			if tries++; tries == 1 {
				l, err := net.Listen("tcp", "127.0.0.1:"+all[slices.Index(all, flag)+1])
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, l.Close()) })
			}
			return all
		}
		server := start(t, s)
		require.Equal(t, 2, tries, flag)
		_, answer := kv(t, server, http.MethodPut, "", "value")
		require.Equal(t, "true", answer)
	}
}
